"""Whatever words a command is called with, it answers with a sentence and one of its exit codes, never with a trace."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from models.database import Database
from models.hooks import Webhook
from producers.cli.menu import MENU, load
from tests.cli.conftest import Vzq
from tests.factories import make_node, make_plan, make_pool
from tests.stand_ins import NOON

GO_ON = {"up", "demo", "service", "worker", "console"}  # programs, not questions
EXITS = {0, 1, 2, 3, 4, 5}
CALLS = 4  # of each command; 90 of each were tried as well
WORDS = (
    "", "-1", "0", "1", "101", "9" * 30, "1e309", "nan", "10%", "-10%", "0s", "1h", "n1", "small", "all", "*", "label=x", "role=", "=", "a,b", "{}",
    "[]", "ä", "a\nb", "\u202e", "x" * 3000, "../../x", "null", "1001 1002", "2026-11", "2026-13-01", "00:00-00:00", "mon 25:00-26:00", "10.0.0.1",
    "::1", "10.0.0.0/99", "01M8FV6VSCZRBT27A5K8QSF3AA", "ZZZZZZ",
)  # fmt: skip
HUGE = "9" * 30  # more than a column holds
FELL_OVER = (
    ("finding", "show", HUGE), ("finding", "repair", HUGE), ("signature", "show", HUGE), ("signature", "settle", HUGE, "--because", "known"),
    ("webhook", "redeliver", "HOOK", HUGE), ("webhook", "replay", "HOOK", HUGE), ("audit", "--days", "1e309"),
    ("audit", "--days", "1000000"), ("backup", "x" * 300), ("backup", ""), ("--state", "/tmp/" + "x" * 300, "job", "list"),
)  # fmt: skip


def commands(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    """All commands below this one, each with the words that lead to it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in below.items():
        yield from commands(one, [*path, name])


def drawn(rng: random.Random, command: Any) -> list[str]:
    """Words for its arguments and some of its options; it waits for nothing."""
    words: list[str] = []
    for one in command.params:
        if one.name in {"help", "wait"}:
            continue
        if one.name == "timeout":
            words += [one.opts[0], "0"]
        elif one.param_type_name == "argument":
            words += [rng.choice(WORDS) for _ in range(1 if one.required else rng.randrange(3 if one.nargs < 0 else 2))]
        elif one.required or rng.random() < 0.15:
            words += [rng.choice(one.opts), *([] if one.is_flag else [rng.choice(WORDS)])]
    return words


@pytest.fixture
def inhabited(database: Database) -> None:
    with database.write() as session:
        session.add_all([make_node("n1"), make_plan("small"), make_pool(), Webhook(id="01HOOK", url="http://127.0.0.1/", created_at=NOON)])


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("words", FELL_OVER, ids=lambda words: " ".join(words)[:40])
def test_words_that_once_made_one_fall_over_are_refused(vzq: Vzq, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    done = vzq(*words, given="")
    assert done.exit_code in {2, 5}, done
    assert isinstance(done.exception, SystemExit), done.exception
    assert not list(tmp_path.glob("*.backup"))


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("entry", [entry for entry in MENU if entry not in GO_ON])
def test_no_words_make_a_command_fall_over(vzq: Vzq, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.chdir(tmp_path)  # some write a file of the name they are given
    rng = random.Random(entry)
    for path, command in commands(load(entry), [entry]):
        for _ in range(CALLS):
            words = [*path, *drawn(rng, command)]
            done = vzq(*words, given="")
            assert done.exit_code in EXITS, (words, done)
            assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
