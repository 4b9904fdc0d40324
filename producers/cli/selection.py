"""Containers named on the command line: `all`, ids, names, and NAME=VALUE for what they are told apart by."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from models.rollouts import Selector
from producers.refusals import BadOrder

FIELDS = {"node": "nodes", "site": "sites", "plan": "plans", "template": "templates", "customer": "customers", "name": "names", "id": "ids"}
HOW = "all, an id, a name (* stands for anything), node=N, site=S, plan=P, template=T, customer=C, or LABEL=VALUE; several with commas"


def selector(terms: str, without: Sequence[str] = ()) -> Selector:
    """What the words mean: values of one field are alternatives, fields must all fit. Raises BadOrder."""
    for words in without:
        if words.strip() in ("", "all"):
            raise BadOrder({"--exclude": f"{'nothing' if not words.strip() else 'all'} is left out by that; it takes what SELECTOR takes, but all"})
    try:
        if terms.strip() == "all":
            return Selector(all=True, exclude=_traits(",".join(without)))
        return Selector(**_traits(terms), exclude=_traits(",".join(without)))
    except ValidationError as error:
        raise BadOrder({"SELECTOR": f"{error.errors(include_input=False)[0]['msg'].removeprefix('Value error, ')}; it takes {HOW}"}) from None


def _traits(terms: str) -> Any:  # noqa: ANN401 - fields that pydantic checks
    traits: dict[str, Any] = defaultdict(list)
    if "all" in (term.strip().lower() for term in terms.split(",")):
        raise BadOrder({"SELECTOR": "all stands alone, and in small letters"})
    for term in filter(None, (term.strip() for term in terms.split(","))):
        name, equals, value = term.partition("=")
        if equals and name in FIELDS:
            traits[FIELDS[name]].append(int(value) if name == "id" and value.isascii() and value.isdigit() else value)
        elif equals:
            if name in traits.setdefault("labels", {}):
                raise BadOrder({"SELECTOR": f"label {name} stands twice; a container has one value of it"})
            traits["labels"][name] = value
        elif term.isascii() and term.isdigit():
            traits["ids"].append(int(term))
        else:
            traits["names"].append(term)
    return traits
