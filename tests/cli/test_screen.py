"""What a node, an order or a row says is shown, never obeyed: not by rich, not by the terminal."""

import sys
from datetime import timedelta
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from models.database import Database
from models.fleet import Container, ContainerState
from models.jobs import Begun
from models.lifecycle import Cause, State
from producers.cli import main, screen
from producers.cli.bars import Bars
from tests.cli.conftest import Vzq
from tests.factories import make_job, make_node
from tests.stand_ins import NOON

EVIL = "[bold red]x[/] [link=http://evil]y[/link] \x1b]0;owned\x07\x1b[2J\u202etxt.exe\r\n\x9b31m [/nothing]"


@pytest.fixture
def haunted(database: Database) -> str:
    """A house in which every text says something evil; the id of its job."""
    job = make_job("create-container", state=State.STUCK, node="n1", ctid=1001, error=EVIL, step=EVIL, because=EVIL, producer=EVIL, worker=EVIL)
    job.order = {"kind": "create-container", "hostname": EVIL, "plan": EVIL}
    job.result = {EVIL: EVIL}
    with database.write() as session:
        session.add(make_node("n1", finding=EVIL, finding_why=EVIL, abilities={"templates": [EVIL], "version": EVIL, "dialect": EVIL}))
        session.add(job)
        session.flush()
        session.add(job.move(Cause.GO_ON, now=NOON, why=EVIL, step=EVIL))
        job.state = State.STUCK
        session.add(Begun(job_id=job.id, step=EVIL, direction="do", attempt=1, node="n1", token=1, at=NOON, outcome=EVIL))
        session.add(
            Container(ctid=1001, node="n1", site="main", state=ContainerState.PRESENT, hostname=EVIL, name=EVIL, customer=EVIL, plan=EVIL, since=NOON)
        )
    return job.id


COMMANDS = [
    ("job", "list"),
    ("job", "show", "JOB"),
    ("job", "why", "JOB"),
    ("job", "watch", "JOB"),
    ("job", "wait", "JOB"),
    ("node", "list"),
    ("node", "show", "n1"),
    ("container", "list"),
    ("container", "show", "1001"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("how", [(), ("--json",)], ids=["table", "json"])
def test_hostile_text_reaches_no_terminal(vzq: Vzq, haunted: str, command: tuple[str, ...], how: tuple[str, ...]) -> None:
    result = vzq(*(haunted if word == "JOB" else word for word in command), *how)
    assert result.exit_code in (0, 1)
    assert result.stdout
    said = result.stdout + result.stderr
    assert not [letter for letter in said if letter != "\n" and not letter.isprintable()]
    if how:
        assert "\\u001b" in result.stdout or command[1] in ("watch", "why")


def test_markup_from_a_node_is_shown_as_it_came(vzq: Vzq, haunted: str) -> None:
    shown = "".join(vzq("job", "show", haunted).stdout.split())
    assert "[boldred]x[/]" in shown
    assert "[/nothing]" in shown


def test_bars_show_hostile_text_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    monkeypatch.setattr("producers.cli.bars.Console", lambda **_: Console(file=terminal, force_terminal=True, width=200, color_system=None))
    bars = Bars()
    bars.show([make_job(state=State.RUNNING, step="[bold]\x1b]0;owned\x07[/nothing]", progress=0.5)], [])
    bars.tell(EVIL)
    bars.close()
    assert "[bold]\\x1b]0;owned\\x07[/nothing]" in terminal.getvalue()
    assert "\x1b]0" not in terminal.getvalue()


def test_nothing_in_a_usage_error_is_obeyed(vzq: Vzq) -> None:
    result = vzq("job", "list", "--state", EVIL)
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr
    assert "\x1b" not in vzq(EVIL).stderr


def test_half_a_letter_can_be_shown() -> None:
    assert screen.clean("a\ud800b") == "a\\ud800b"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0.0 s"), (0.04, "0.0 s"), (9.96, "10.0 s"), (59, "59 s"), (150, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_a_length_of_time_is_shown_in_a_unit_that_fits(seconds: float, text: str) -> None:
    assert screen.span(timedelta(seconds=seconds)) == text


def test_tables_fit_80_columns(vzq: Vzq, haunted: str) -> None:
    for command in (("job", "list"), ("job", "show", haunted), ("node", "list"), ("container", "list")):
        assert max(map(len, vzq(*command).stdout.splitlines())) <= 80


def test_a_word_that_is_no_text_is_refused_before_anything_is_opened(
    founded: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["vzq", "job", "list", "--by", "ren\udce9"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "vzq: ren\\udce9: is no text in this terminal's encoding\n"


def test_what_a_terminal_cannot_show_is_shown_as_an_escape(founded: object, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = TextIOWrapper(BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "argv", ["vzq", "plan", "add", "größe"])
    with pytest.raises(SystemExit):
        main()
    screen.say("größe")
    assert terminal.buffer.getvalue().endswith(b"gr\\xf6\\xdfe\n")  # type: ignore[attr-defined]
