"""A specification from a file, TOML or YAML, with what the command line says on top. A script may stand in a file of its own beside it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from models.rollouts import RolloutSpec
from models.updates import LONGEST_SCRIPT
from producers.refusals import BadOrder

LONGEST = 1_000_000  # bytes; a specification is some hundred
# What is told in place of pydantic's own words, by its name for what is wrong.
IN_PLACE: dict[str | tuple[str, str], str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "dict_type": 'is not a table; write { name = "value" }',
    "model_type": "is not a table of its own; write its fields under its name in brackets",
    "tuple_type": 'is not a list; write ["one", "two"]',
    "union_tag_not_found": 'is missing; write do = "packages" or do = "script"',
    "union_tag_invalid": 'is no update; write do = "packages" or do = "script"',
    ("action.interpreter", "missing"): 'is missing: say what runs the script, e.g. interpreter = "sh" (sh, bash, python3 or perl)',
}


class _EachKeyOnce(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML brings no types
    """PyYAML takes the last of two equal keys and says nothing; TOML refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as PyYAML has it
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for at, key in enumerate(keys) if key in keys[:at]), None)
        if twice is not None:
            raise BadOrder({twice: f"stands there twice, in line {node.start_mark.line + 1} or behind it; keep one"})
        return dict(super().construct_mapping(node, deep=deep))


def read_spec(path: Path | None, given: Mapping[str, Any]) -> RolloutSpec:
    """The specification; `given` (dotted names) outranks the file. Raises BadOrder naming each field that is wrong."""
    fields = _read(path) if path is not None else {}
    for name, value in given.items():
        _put(fields, name.split("."), value)
    if "action.file" in given:
        fields["action"].pop("text", None)
    _fetch_script(fields, path.parent if path is not None else Path())
    if path is not None:
        fields.setdefault("name", _plain(path.stem))
    return checked(fields)


def read_text(text: str) -> RolloutSpec:
    """The specification that somebody wrote, TOML or YAML; no file is read for it. Raises BadOrder naming each field that is wrong."""
    if len(text) > LONGEST:
        raise BadOrder({"specification": f"is longer than {LONGEST} letters; a specification is not"})
    fields = _parsed(text, toml=_is_toml(text), name="specification")
    action = fields.get("action")
    if isinstance(action, dict) and "file" in action:
        raise BadOrder({"action.file": "names a file, and there are none here; write the script itself into action.text"})
    return checked(fields)


def checked(fields: Mapping[str, Any]) -> RolloutSpec:
    """The specification that these fields are; raises BadOrder."""
    try:
        return RolloutSpec.model_validate(fields)
    except ValidationError as error:
        problems: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_input=False):
            where = ".".join(str(part) for part in problem["loc"] if part not in ("script", "packages"))
            if problem["type"].startswith("union_tag"):
                where += ".do"
            what = IN_PLACE.get((where, problem["type"])) or IN_PLACE.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
            problems.setdefault(where or "specification", what)
        raise BadOrder(problems) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LONGEST:
            raise BadOrder({str(path): f"is longer than {LONGEST} bytes; a specification is not"})
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOrder({str(path): f"cannot be read: {error.strerror if isinstance(error, OSError) else 'it is no text'}"}) from None
    return _parsed(text, toml=path.suffix == ".toml", name=str(path))


def _parsed(text: str, *, toml: bool, name: str) -> dict[str, Any]:
    try:
        fields = tomllib.loads(text) if toml else yaml.load(text, _EachKeyOnce)  # noqa: S506 - a SafeLoader
    except tomllib.TOMLDecodeError as error:
        raise BadOrder({name: f"is not TOML: {error}"}) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadOrder({name: f"is neither TOML (named .toml) nor YAML: {str(error).splitlines()[0]}"}) from None
    if not isinstance(fields, dict):
        raise BadOrder({name: "holds no specification; write e.g. [selector], [action], [waves]"})
    return fields


def _is_toml(text: str) -> bool:
    """By its first line that says something: `[selector]` or `name = …`; YAML has colons there."""
    first = next((line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")), "")
    return first.startswith("[") or "=" in first.partition(":")[0]


def _put(fields: dict[str, Any], names: list[str], value: object) -> None:
    for name in names[:-1]:
        inner = fields.get(name)
        fields[name] = dict(inner) if isinstance(inner, dict) else {}
        fields = fields[name]
    fields[names[-1]] = value


def _fetch_script(fields: dict[str, Any], beside: Path) -> None:
    """`file` in place of `text`: what is stored with the roll-out is the text."""
    action = fields.get("action")
    if not isinstance(action, dict) or "file" not in action:
        return
    if "text" in action:
        raise BadOrder({"action.file": "and text contradict each other; give one of them"})
    path = beside / str(action.pop("file"))
    try:
        if path.exists() and not path.is_file():
            raise BadOrder({"action.file": f"{path} is no plain file"})
        with path.open() as opened:
            action["text"] = opened.read(LONGEST_SCRIPT + 1)
    except (OSError, ValueError) as error:
        raise BadOrder(
            {"action.file": f"{str(path)!r} cannot be read: {error.strerror if isinstance(error, OSError) else 'it is no text'}"}
        ) from None
    action.setdefault("do", "script")


def _plain(stem: str) -> str:
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in stem).strip("._-")
    return kept[:64].rstrip("._-") or "rollout"
