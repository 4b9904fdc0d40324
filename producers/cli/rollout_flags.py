"""The flags by which a roll-out is specified on the command line, the same for `rollout plan`, `rollout start` and `schedule add`.

Each stands for one field of the specification (ops/docs/rollouts.md) and outranks the file; `--set` reaches all others.
"""

import functools
import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from models.rollouts import RolloutSpec
from producers.cli.options import labels
from producers.refusals import BadOrder
from producers.rollouts.files import read_spec

Words = list[str] | None
Number = int | None


@dataclass(frozen=True)
class Flag:
    """One flag."""

    field: str  # of the specification, dotted
    kind: Any
    option: str
    help: str


FLAGS = {
    "name": Flag("name", str, "--name", "What it is called; the file's name if left out."),
    "everything": Flag("selector.all", bool, "--all", "Every container."),
    "label": Flag("selector.labels", Words, "--label", "Only containers with this label, NAME=VALUE; may be repeated, as all that follow."),
    "node": Flag("selector.nodes", Words, "--node", "Only on this node."),
    "site": Flag("selector.sites", Words, "--site", "Only of this site."),
    "plan_name": Flag("selector.plans", Words, "--plan", "Only of this plan."),
    "template": Flag("selector.templates", Words, "--template", "Only made from this template."),
    "customer": Flag("selector.customers", Words, "--customer", "Only of this customer."),
    "named": Flag("selector.names", Words, "--named", "Only with this name or host name; * and ? stand for anything."),
    "ctid": Flag("selector.ids", list[int] | None, "--id", "Only this container."),
    "not_ctid": Flag("selector.exclude.ids", list[int] | None, "--not-id", "All but this container."),
    "not_node": Flag("selector.exclude.nodes", Words, "--not-node", "None of this node."),
    "not_label": Flag("selector.exclude.labels", Words, "--not-label", "None with this label, NAME=VALUE."),
    "script": Flag("action.file", str, "--script", "File with the script to run inside."),
    "interpreter": Flag("action.interpreter", str, "--interpreter", "What runs it inside: sh, bash, python3 or perl."),
    "argument": Flag("action.arguments", Words, "--argument", "Argument of the script."),
    "timeout": Flag("action.timeout", str, "--timeout", "How long it may take in each container, e.g. 30m."),
    "package": Flag("action.names", Words, "--package", "Upgrade this package."),
    "security_only": Flag("action.security_only", bool, "--security-only", "Upgrade only what is a security update."),
    "family": Flag("action.families", Words, "--family", "Only containers of this family: apt, yum, dnf, zypper, apk."),
    "upgrade": Flag("action.do", bool, "--upgrade", "Upgrade packages, in place of a script."),
    "canary": Flag("waves.canaries", Words, "--canary", "Container (id or name) to begin with."),
    "wave": Flag("waves.sizes", Words, "--wave", "Size of a wave: a number, or a share such as 10%."),
    "soak": Flag("waves.soak", str, "--soak", "How long to wait between two waves, e.g. 10m."),
    "at_once": Flag("at_once.all", Number, "--at-once", "So many at once in all."),
    "per_node": Flag("at_once.per_node", Number, "--per-node", "So many at once per node."),
    "per_customer": Flag("at_once.per_customer", Number, "--per-customer", "So many at once per customer."),
    "failures": Flag("budget.failures", Number, "--failures", "So many may fail."),
    "rate": Flag("budget.rate", str, "--rate", "This share may fail, e.g. 5%."),
    "window": Flag("windows", Words, "--window", "When it may start targets, e.g. 'mon-fri 22:00-04:00'."),
    "timezone": Flag("timezone", str, "--timezone", "Whose clocks the windows go by, e.g. Europe/Berlin."),
    "also": Flag("", Words, "--set", "Any other field, as FIELD=VALUE in TOML, e.g. --set health.tcp=[80]."),
}  # fmt: skip
LABELS = ("label", "not_label")


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with all flags added; it gets what was given as `given`, by fields of the specification."""

    @functools.wraps(command)
    def called(**arguments: Any) -> None:  # noqa: ANN401 - what typer hands over
        given = fields_of({name: arguments.pop(name) for name in FLAGS})
        command(given=given, **arguments)

    kept = [one for one in inspect.signature(command).parameters.values() if one.name != "given"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(flag), annotation=Annotated[flag.kind, _option(flag)])
        for name, flag in FLAGS.items()
    ]
    keyword = inspect.Parameter.KEYWORD_ONLY
    called.__signature__ = inspect.Signature([*(one.replace(kind=keyword) for one in kept), *added])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*kept, *added)}
    return called


def fields_of(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, by dotted field; raises BadOrder."""
    given: dict[str, Any] = {}
    for name, asked in flags.items():
        value = asked
        if value is None or value is False or value in ("", [], ()) or name == "also":  # 0 is said: no failures
            continue
        if name == "script":
            value = str(Path(value).absolute())  # from here, not from where the file is
        given[FLAGS[name].field] = labels(value, FLAGS[name].option) if name in LABELS else value
    if given.pop("action.do", None) or "action.names" in given or given.get("action.security_only") or "action.families" in given:
        given["action.do"] = "packages"
    for field in ("waves.sizes", "waves.canaries"):
        given |= {field: [int(one) if one.isdigit() else one for one in given[field]]} if field in given else {}
    return given | dict(_set(pair) for pair in flags["also"] or ())


def specified(file: Path | None, given: Mapping[str, Any]) -> RolloutSpec:
    """The specification of a command; raises BadOrder."""
    if file is None and not given:
        raise BadOrder({"FILE": "name a file with the specification, or give flags such as --all --script FILE --interpreter sh"})
    return read_spec(file, given)


def _set(pair: str) -> tuple[str, Any]:
    field, equals, text = pair.partition("=")
    if not equals or not field.replace(".", "").replace("_", "").isalnum():
        raise BadOrder({"--set": f"{pair[:60]!r} is not FIELD=VALUE"})
    try:
        return field, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return field, text  # a plain word
    except RecursionError:
        raise BadOrder({"--set": f"{field} is nested too deeply"}) from None


def _default(flag: Flag) -> Any:  # noqa: ANN401 - as the kind says
    return "" if flag.kind is str else False if flag.kind is bool else None


def _option(flag: Flag) -> Any:  # noqa: ANN401 - typer keeps the type private
    panel = "What to update, how, and how carefully"
    return typer.Option(flag.option, help=flag.help, show_default=False, rich_help_panel=panel)
