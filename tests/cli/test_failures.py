"""What an operator may do wrong, and what may be wrong around him, is a sentence and an exit code, never a trace."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from models.database import Database
from producers.cli import app
from tests.cli.conftest import Vzq, rows
from tests.factories import make_job

ROOT = Path(__file__).parents[2]
VZQ = [sys.executable, "-m", "producers.cli"]


def vzq_process(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VZQ, *args], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", [("job", "list"), ("node", "list", "--json"), ("order", "check"), ("plan", "list")])
def test_a_folder_without_a_house_is_said_and_nothing_is_made_in_it(state: Path, command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, list(command), prog_name="vzq")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "no house here" in result.stderr
    assert str(state) in result.stderr
    assert "vzq up" in result.stderr
    assert not state.exists()


def test_the_version_is_told_without_a_house(state: Path) -> None:
    result = CliRunner().invoke(app, ["--version"], prog_name="vzq")
    assert (result.exit_code, result.stdout) == (0, f"vzq {version('vzq')}\n")
    assert not state.exists()


def test_upgrade_founds_a_house_that_only_its_user_can_read(state: Path) -> None:
    assert CliRunner().invoke(app, ["upgrade"], prog_name="vzq").exit_code == 0
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "secret.key").stat().st_mode & 0o777 == 0o600


def test_an_unwritable_state_folder_is_a_sentence(vzq: Vzq, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (("upgrade",), ("key",)):
        result = vzq("--state", str(tmp_path / "file" / "state"), *command)
        assert result.exit_code == 5
        assert "the state folder" in result.stderr
        assert "--state or VZQ_STATE" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_of_somebody_else_is_a_sentence(vzq: Vzq, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = vzq("--state", str(tmp_path / "locked" / "state"), "job", "list")
    assert (result.exit_code, result.stdout) == (5, "")


def test_a_file_that_is_no_database_is_a_sentence(vzq: Vzq, state: Path) -> None:
    (state / "vzq.sqlite").write_text("this is not a database, it is a letter to my aunt " * 40)
    result = vzq("job", "list")
    assert result.exit_code == 5
    assert "file is not a database" in result.stderr
    assert "aunt" not in result.stderr


def test_a_schema_of_another_version_is_a_sentence(vzq: Vzq, database: Database) -> None:
    with database.write() as session:
        session.execute(text("update alembic_version set version_num = 'pre_9999'"))
    result = vzq("job", "list")
    assert result.exit_code == 5
    assert "schema pre_9999" in result.stderr
    assert "a newer vzq has been here" in result.stderr
    assert vzq("upgrade").exit_code == 5


def test_a_service_that_meets_a_newer_schema_says_so_and_does_not_start(database: Database, state: Path) -> None:
    with database.write() as session:
        session.execute(text("update alembic_version set version_num = 'pre_9999'"))
    started = vzq_process("service")
    assert started.returncode == 5
    assert "a newer vzq has been here" in started.stderr
    assert "Traceback" not in started.stderr


def test_a_house_that_another_command_is_founding_is_waited_for(vzq: Vzq, state: Path) -> None:
    (state / "vzq.sqlite").write_bytes(b"")
    assert rows(vzq("job", "list", "--json")) == []


def test_an_unreachable_database_is_named_without_its_password(vzq: Vzq, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        monkeypatch.setenv("VZQ_DATABASE", f"postgresql+psycopg://vzq:s3cret@127.0.0.1:{port}/vzq")
        result = vzq("job", "list")
    assert result.exit_code == 5
    assert f"postgresql+psycopg://vzq:***@127.0.0.1:{port}/vzq" in result.stderr
    assert "s3cret" not in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "cobol://x", "postgresql+cobol://x", "sqlite+nonsense:///x"])
def test_a_url_that_is_none_is_a_sentence(vzq: Vzq, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("VZQ_DATABASE", url)
    result = vzq("job", "list")
    assert result.exit_code == 2
    assert "VZQ_DATABASE is no database URL" in result.stderr


@pytest.mark.parametrize("url", ["postgresql://vzq:s3cret@db/vzq", "postgresql://vzq@db/vzq?password=s3cret"])
def test_a_password_on_the_command_line_is_refused(vzq: Vzq, url: str) -> None:
    result = vzq("--database", url, "job", "list")
    assert result.exit_code == 2
    assert "s3cret" not in result.stderr


@pytest.mark.parametrize("url", ["sqlite:///{}/other.sqlite"])
def test_the_database_can_be_named_on_the_command_line(vzq: Vzq, tmp_path: Path, url: str) -> None:
    assert vzq("--database", url.format(tmp_path), "upgrade").exit_code == 0
    assert rows(vzq("--database", url.format(tmp_path), "job", "list", "--json")) == []
    assert (tmp_path / "other.sqlite").exists()


def test_a_secret_key_that_is_missing_is_a_sentence_and_the_order_is_not_accepted(vzq: Vzq, fleet: Database, state: Path) -> None:
    (state / "secret.key").unlink()
    order = ("order", "create", "--plan", "small", "--template", "busybox-mini-x86_64", "--hostname", "a.example", "--password-stdin")
    result = vzq(*order, given="correct-horse\n")
    assert result.exit_code == 5
    assert "secret.key" in result.stderr
    assert rows(vzq("job", "list", "--json")) == []
    assert vzq("key").exit_code == 0  # makes it again
    assert vzq(*order, given="correct-horse\n").exit_code == 0


@pytest.mark.parametrize(
    "args", [["bogus"], ["job", "bogus"], ["job"], [], ["job", "show"], ["job", "list", "--limit", "0"], ["plan", "add", "x"], ["--bogus"]]
)
def test_wrong_usage_exits_2(vzq: Vzq, args: list[str]) -> None:
    result = vzq(*args)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_ctrl_c_exits_130_and_says_that_the_job_goes_on(database: Database, state: Path) -> None:
    job = make_job()
    with database.write() as session:
        session.add(job)
    watching = subprocess.Popen([*VZQ, "job", "watch", job.id], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stderr is not None
    assert "no service is alive" in watching.stderr.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert f"vzq job watch {job.id[-8:]}" in said
    assert "Traceback" not in said


def test_a_reader_that_goes_away_is_no_trace(database: Database, state: Path) -> None:
    with database.write() as session:
        session.add_all([make_job() for _ in range(500)])
    listing = subprocess.Popen([*VZQ, "job", "list", "--json", "--limit", "500"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.readline()
    listing.stdout.close()
    said = listing.stderr.read()
    listing.stderr.close()
    listing.wait(30)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("command", "module", "argv"),
    [(["worker", "--site", "fra1"], "workers/main.py", ["--site", "fra1"]), (["service"], "producers/service.py", [])],
)
def test_the_other_sides_program_is_started_in_this_ones_place(tmp_path: Path, command: list[str], module: str, argv: list[str]) -> None:
    program = tmp_path / module
    program.parent.mkdir(parents=True)
    said = "import json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ['VZQ_STATE'], os.getpid()]))\n"
    program.write_text(said)
    real = f"__path__.append({str(ROOT / 'producers')!r})\n" if program.parent.name == "producers" else ""  # the command line itself is no stand-in
    (program.parent / "__init__.py").write_text(real)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    started = subprocess.Popen([*VZQ, "--state", "here", *command], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    out, _ = started.communicate(timeout=30)
    assert json.loads(out) == [argv, str(tmp_path / "here"), started.pid]
    assert started.returncode == 0


def test_help_and_completion_load_no_database() -> None:
    script = "import sys; from producers.cli.menu import app; app(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    for heavy in ("sqlalchemy", "pydantic", "dramatiq", "asyncssh", "alembic"):
        assert f"'{heavy}'" not in ran.stdout


def test_every_command_of_the_menu_can_be_loaded_and_explains_itself(vzq: Vzq) -> None:
    listing = vzq("--help").stdout
    for name in ("order", "job", "container", "node", "plan", "pool", "up", "demo", "service", "worker", "upgrade", "key"):
        assert name in listing
        assert vzq(name, "--help").exit_code == 0


def test_listing_an_empty_house_is_quick_enough_for_a_person(founded: Path) -> None:
    assert vzq_process("job", "list", "--json").returncode == 0
    begun = time.monotonic()
    assert vzq_process("job", "list", "--json").stdout == "[]\n"
    assert time.monotonic() - begun < 10  # some 0.7 s on a quiet machine; this only tells that nothing waits for a time-out


def test_output_that_a_full_disk_does_not_take_is_a_sentence(founded: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*VZQ, "node", "list"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (5, "vzq: the output cannot be written (No space left on device); what was ordered stays ordered\n")


@pytest.mark.parametrize(("line", "code"), [("exec all --script -", 2), ("order submit -", 0), ("container set-password 1001 --password-stdin", 2)])
def test_input_that_the_caller_closed_is_empty_input(founded: Path, line: str, code: int) -> None:
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *VZQ, *line.split()], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done


@pytest.mark.parametrize("words", [["--help"], []])
def test_help_that_a_full_disk_does_not_take_is_a_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*VZQ, *words], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (5, "vzq: the output cannot be written (No space left on device); what was ordered stays ordered\n")


@pytest.mark.parametrize(("line", "code"), [("node list", 5), ("exec all --script /nowhere", 2)])
def test_where_nothing_can_be_said_the_exit_code_says_it(founded: Path, line: str, code: int) -> None:
    with Path("/dev/full").open("w") as full:
        assert subprocess.run([*VZQ, *line.split()], cwd=ROOT, stdout=full, stderr=full, timeout=60, check=False).returncode == code
