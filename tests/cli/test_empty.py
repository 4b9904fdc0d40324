"""A variable that was not set leaves an empty word behind: no command takes it for an option that was left out."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.settings import Settings
from producers.cli import app
from producers.cli.menu import MENU, load
from tests.cli.conftest import Vzq
from tests.cli.test_any_words import GO_ON, commands

pytestmark = pytest.mark.quick
TAKEN = {("node", "describe", "--proxy"), ("node", "describe", "--domain")}  # '' takes the proxy away


def texts(command: Any) -> list[Any]:
    """The options that take one text."""
    options = (one for one in command.params if one.param_type_name == "option" and not one.is_flag and not one.multiple)
    return [one for one in options if one.type_descriptor.annotation is str]


def needed(command: Any) -> list[str]:
    words: list[str] = []
    for one in command.params:
        if one.required:
            words += ["101"] if one.param_type_name == "argument" else [one.opts[0], "read" if one.opts[0] == "--scope" else "1"]
    return words


@pytest.mark.parametrize("name", sorted(set(MENU) - GO_ON))
def test_an_empty_option_is_refused_unless_its_help_says_what_it_means(vzq: Vzq, name: str) -> None:
    for path, command in commands(load(name), [name]):
        for option in texts(command):
            result = vzq(*path, *needed(command), option.opts[0], "")
            refused = f"{option.opts[0]}: is empty; leave it out if you mean that" in result.stderr
            assert refused is (option.name != "because" and (*path, option.opts[0]) not in TAKEN), (path, option.opts, result.stderr)
            assert result.exit_code == 2 or not refused


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--url", "", "job", "list"], "--url"), (["--token", "", "job", "list"], "--token"), (["--database", "", "job", "list"], "--database"),
        (["exec", "all", "--exclude", "", "--", "true"], "--exclude"), (["fleet", "reboot", "n1", "--window", ""], "--window"),
    ],
)  # fmt: skip
def test_an_empty_word_before_the_command_or_among_several_is_refused(vzq: Vzq, words: list[str], option: str) -> None:
    result = vzq(*words)
    assert (result.exit_code, result.stderr) == (2, f"vzq: {option}: is empty; leave it out if you mean that\n")


def test_an_empty_argument_is_refused(vzq: Vzq) -> None:
    result = vzq("migrate", "101", " ")
    assert (result.exit_code, result.stderr) == (2, "vzq: NODE: is empty; leave it out if you mean that\n")


def test_an_empty_state_folder_is_not_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["--state", "", "upgrade"], ["up", "--state", ""]):
        result = CliRunner().invoke(app, words, prog_name="vzq")
        assert result.exit_code == 2
        assert "is empty" in result.stderr
    monkeypatch.setenv("VZQ_STATE", "")
    assert Settings().state.is_absolute()
    assert list(tmp_path.iterdir()) == []
