"""A person before a container: a real terminal, a real link, the simulated container's real shell."""

import fcntl
import os
import select as polling
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from sqlmodel import col, select

from models.access import Audit
from models.inside import Visit
from tests.inside.conftest import Crowd

ROWS, COLUMNS = 33, 101


class Person:
    """Sits at a pseudo-terminal that runs `vzq console`."""

    def __init__(self, crowd: Crowd, *words: str) -> None:
        self.master, slave = os.openpty()
        self.has_window(ROWS, COLUMNS)
        program = [sys.executable, "-P", "-m", "producers.cli", "console", *words]
        self.process = subprocess.Popen(
            program, env=crowd.environment | {"COLUMNS": "7", "LINES": "7"}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = b""
        self._crowd = crowd

    def has_window(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def sees(self, text: bytes, seconds: float = 60) -> bool:
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end:
            if polling.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        return text in self.seen

    def begins(self, line: bytes, mark: Path) -> None:
        """Types a line which makes that file."""
        self.types(line + b"\r")
        self._crowd.until(mark.exists, f"{line!r} to make {mark.name}")

    def types(self, keys: bytes) -> None:
        os.write(self.master, keys)


def entered(crowd: Crowd, ctid: int, *words: str) -> Person:
    person = Person(crowd, str(ctid), *words)
    assert person.sees(b"entered into CT"), person.seen
    return person


def visits(crowd: Crowd) -> list[Visit]:
    with crowd.house.database.read() as session:
        return list(session.exec(select(Visit)))


def test_what_is_typed_runs_inside_and_the_audit_says_who_was_there(crowd: Crowd) -> None:
    ctid = crowd.ctids[0]
    person = entered(crowd, ctid, "--by", "alice", "--because", "ticket 4711")
    assert [(visit.ctid, visit.what, visit.by) for visit in visits(crowd)] == [(ctid, "console", "alice")]
    person.begins(b"echo $((6 * 7)) > typed", crowd.inside(ctid) / "typed")
    person.types(b"exit\r")
    assert person.process.wait(60) == 0
    assert (crowd.inside(ctid) / "typed").read_text() == "42\n"
    assert visits(crowd) == []
    with crowd.house.database.read() as session:
        rows = session.exec(select(Audit).where(col(Audit.action).startswith("console")).order_by(col(Audit.id))).all()
    assert [(row.action, row.by, row.because, row.subject) for row in rows][-2:] == [
        (f"console {what}", "alice", "ticket 4711", f"container:{ctid}") for what in ("open", "close")
    ]


def test_the_shell_inside_knows_how_large_the_window_is_and_when_it_grows(crowd: Crowd) -> None:
    ctid = crowd.ctids[3]
    person = entered(crowd, ctid)
    person.begins(b"stty size > size; touch told", crowd.inside(ctid) / "told")
    assert (crowd.inside(ctid) / "size").read_text() == f"{ROWS} {COLUMNS}\n"
    person.has_window(ROWS + 7, COLUMNS + 9)
    person.process.send_signal(signal.SIGWINCH)
    person.begins(b'until [ "$(stty size)" = "%d %d" ]; do sleep 0.1; done; touch grown' % (ROWS + 7, COLUMNS + 9), crowd.inside(ctid) / "grown")
    person.types(b"exit\r")
    assert person.process.wait(60) == 0


def test_control_c_ends_what_runs_and_not_the_console(crowd: Crowd) -> None:
    ctid = crowd.ctids[3]
    person = entered(crowd, ctid)
    person.begins(b"echo begun > mark; sleep 300", crowd.inside(ctid) / "mark")
    person.types(b"\x03")
    person.begins(b"echo $((6 * 7)) > back", crowd.inside(ctid) / "back")
    person.types(b"exit\r")
    assert person.process.wait(60) == 0


def test_nothing_is_left_inside_when_the_person_hangs_up(crowd: Crowd) -> None:
    ctid = crowd.ctids[1]
    person = entered(crowd, ctid)
    person.begins(b"echo $$ > shell; exec sleep 300", crowd.inside(ctid) / "shell")
    person.types(b"\r~.")
    assert person.process.wait(60) == 5
    pid = int((crowd.inside(ctid) / "shell").read_text())
    crowd.until(lambda: not crowd.alive(pid), "the shell to end")
    assert visits(crowd) == []


def test_a_container_that_is_not_there_is_refused(crowd: Crowd) -> None:
    person = Person(crowd, "999999")
    assert person.process.wait(60) == 2
    assert person.sees(b"there is no container '999999' to enter; see `vzq container list`"), person.seen


def test_without_a_terminal_it_says_what_to_use_instead(crowd: Crowd) -> None:
    program = [sys.executable, "-P", "-m", "producers.cli", "console", str(crowd.ctids[0])]
    done = subprocess.run(program, env=crowd.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "vzq: a console needs a terminal; run a command with `vzq exec`\n")
