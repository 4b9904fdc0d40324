"""`vzq console`: sit before a container, from the management host. Who was inside, when and why is in the audit.

While somebody is inside, no online migration of the container begins: freezing it would end his shell (facts §11).
"""

import models.garbage  # noqa: F401, I001 - see there

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from models.access import Audit
from models.clock import SystemClock
from models.database import Database, SchemaError
from models.errors import JobError
from models.fleet import Container, ContainerState, Node
from models.ids import JobIds
from models.inside import Visit
from models.jobs import Job
from models.lifecycle import LEASED
from models.settings import Settings
from workers.openvz.vzctl import Vzctl
from workers.plans.nodes import address_of
from workers.transport.links import Links
from workers.transport.terminal import Terminal, terminal

LEASE = timedelta(seconds=15)
RENEW_S = 4.0
LEAVE = b"\r~."  # as in ssh: leave, even when nothing answers any more


class CannotEnter(Exception):
    """There is nothing to sit before; the text says what and what to do. `code` is the exit code."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


class Console:
    """One person inside one container."""

    def __init__(self, settings: Settings, *, by: str, because: str) -> None:
        self._clock = SystemClock()
        self._database = Database(settings.database_url, clock=self._clock)
        self._settings = settings
        self._by = by
        self._because = because
        self._id = JobIds(self._clock, random.SystemRandom()).next()

    async def sit(self, wanted: str) -> int:
        """Until the shell ends; its exit code. Raises CannotEnter, JobError or SQLAlchemyError."""
        self._database.check_schema()
        container, node = self._enter(wanted)
        links = Links(client_key=self._settings.ssh_key_file, clock=self._clock, rng=random.Random())  # noqa: S311 - jitter
        began = self._clock.monotonic()
        heart = asyncio.create_task(self._renew())
        try:
            argv = Vzctl().enter(container.ctid).argv
            kind = os.environ.get("TERM", "xterm")
            async with terminal(links.to(address_of(node)), argv, kind=kind, size=_window(sys.stdin.fileno())) as opened:
                print(f"container {container.ctid} on {node.name}; leave with `exit`, or Enter ~ . when nothing answers", file=sys.stderr)  # noqa: T201
                async with _typing(opened):
                    async for chunk in opened.shown():
                        os.write(sys.stdout.fileno(), chunk)
                code = await opened.ended()
        finally:
            heart.cancel()
            self._leave(container.ctid, self._clock.monotonic() - began)
            await links.close()
            self._database.close()
        return 5 if code is None else code

    def _enter(self, wanted: str) -> tuple[Container, Node]:
        with self._database.write() as session:
            container = _found(session, wanted)
            node = session.get(Node, container.node)
            if node is None:
                raise CannotEnter(f"node {container.node} of container {container.ctid} is no longer enrolled", 3)
            self._database.lock(session, "dispatch")  # so that no move begins between this look and our commit
            _not_moving(session, container.ctid)
            now = self._database.now(session)
            visit = Visit(id=self._id, ctid=container.ctid, what="console", by=self._by, since=now, lease_until=now + LEASE)
            session.add_all([visit, self._audit("console open", container.ctid, {"node": node.name, "console": self._id}, session)])
            return container, node

    def _leave(self, ctid: int, seconds: float) -> None:
        with contextlib.suppress(SQLAlchemyError), self._database.write() as session:
            session.execute(delete(Visit).where(col(Visit.id) == self._id))
            session.add(self._audit("console close", ctid, {"console": self._id, "seconds": round(seconds, 1)}, session))

    def _audit(self, action: str, ctid: int, data: dict[str, object], session: Session) -> Audit:
        at = self._database.now(session)
        return Audit(at=at, by=self._by, action=action, subject=f"container:{ctid}", because=self._because, data=data)

    async def _renew(self) -> None:
        """While the database is away the visit may run out; the person stays, he cannot be asked to leave for that."""
        while True:
            await asyncio.sleep(RENEW_S)
            with contextlib.suppress(SQLAlchemyError):
                await asyncio.to_thread(self._lengthen)

    def _lengthen(self) -> None:
        with self._database.write() as session:
            session.execute(update(Visit).where(col(Visit.id) == self._id).values(lease_until=self._database.now(session) + LEASE))


def _found(session: Session, wanted: str) -> Container:
    by_id = wanted.isascii() and wanted.isdigit() and len(wanted) <= 10
    container = session.exec(select(Container).where(Container.ctid == int(wanted) if by_id else Container.name == wanted)).first()
    if container is None or container.state != ContainerState.PRESENT:
        raise CannotEnter(f"there is no container {wanted!r} to enter; see `vzq container list`", 2)
    return container


def _not_moving(session: Session, ctid: int) -> None:
    job = session.exec(select(Job).where(Job.ctid == ctid, col(Job.state).in_(LEASED), Job.kind == "migrate-container")).first()
    if job is not None:
        raise CannotEnter(f"container {ctid} is being moved by job {job.id}, which a shell inside would break; enter it when that has ended", 3)


def _window(descriptor: int) -> tuple[int, int]:
    """Columns and lines of the terminal itself: COLUMNS and LINES, which shutil asks first, do not follow a window."""
    columns, lines = os.get_terminal_size(descriptor)
    return columns or 80, lines or 24


@asynccontextmanager
async def _typing(opened: Terminal) -> AsyncIterator[None]:
    """The person's keys go to the terminal, and its size follows his window."""
    loop, descriptor, last = asyncio.get_running_loop(), sys.stdin.fileno(), bytearray(b"\r")

    def typed() -> None:
        keys = os.read(descriptor, 4096)
        last.extend(keys)
        if not keys or bytes(last).endswith(LEAVE):
            opened.leave()
            loop.remove_reader(descriptor)
        else:
            opened.type(keys)
        del last[:-3]

    def resized() -> None:
        opened.resize(*_window(descriptor))

    with _raw(descriptor):
        loop.add_reader(descriptor, typed)
        loop.add_signal_handler(signal.SIGWINCH, resized)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)
            loop.remove_signal_handler(signal.SIGWINCH)


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def main() -> None:
    """Exit with the shell's own code; 2 no such container or no terminal, 3 refused, 5 node or database not reachable."""
    parser = argparse.ArgumentParser(prog="vzq console", description="Sit before a container.")
    parser.add_argument("container", help="id or vzctl name")
    parser.add_argument("--by", required=True)
    parser.add_argument("--because", default="")
    arguments = parser.parse_args()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        _give_up("a console needs a terminal; run a command with `vzq exec`", 2)
    try:
        code = asyncio.run(Console(Settings(), by=arguments.by, because=arguments.because).sit(arguments.container))
    except CannotEnter as cannot:
        _give_up(str(cannot), cannot.code)
    except (JobError, SchemaError, OSError) as error:
        _give_up(str(error), 5)
    except SQLAlchemyError as error:
        _give_up(f"database cannot be used: {str(error).splitlines()[0]}", 5)
    sys.exit(code)


def _give_up(why: str, code: int) -> None:
    print(f"vzq: {why}", file=sys.stderr)  # noqa: T201 - to the person
    sys.exit(code)


if __name__ == "__main__":
    main()
