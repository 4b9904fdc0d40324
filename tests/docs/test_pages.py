"""What holds for every document: links lead somewhere, files and commands that are named exist."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from producers.cli.menu import MENU, load
from tests.docs.pages import DOCS, ROOT

pytestmark = pytest.mark.quick
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)]+)\)")
FILE = re.compile(r"`((?:models|producers|workers|ops|tests)/[\w./-]+\.(?:py|toml|jsonl|txt))`")
COMMAND = re.compile(r"(?:`|^ {4})vzq ([a-z][^`#·\n]*)", re.MULTILINE)


def named(path: Path) -> str:
    return str(path.resolve().relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """What the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text()):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    assert [file for file in FILE.findall(path.read_text()) if not (ROOT / file).is_file()] == []


@cache
def menu(name: str) -> Any:
    return load(name)


def words(command: str) -> Iterator[str]:
    """As a shell would read it, or by blanks where the example leaves something out."""
    try:
        yield from shlex.split(command)
    except ValueError:
        yield from command.split()


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_command_that_is_named_can_be_called_so(path: Path) -> None:
    for command in COMMAND.findall(path.read_text()):
        first, *rest = words(command)
        assert first in MENU, command
        called = menu(first)
        if rest and getattr(called, "commands", None) and re.fullmatch(r"[a-z-]+", rest[0]):
            assert rest[0] in called.commands, command
            called = called.commands[rest[0]]
        known = {option for parameter in called.params for option in parameter.opts} | {"--help"}
        assert {word.partition("=")[0] for word in rest if re.fullmatch(r"--[a-z-]+(=.*)?", word)} <= known, command
