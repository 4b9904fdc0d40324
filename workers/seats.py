"""Consoles for people at the page: `vzq console` on a terminal of its own, its bytes passed to and from the service over Redis.

As with jobs the row is what counts and the message only a bell: who hears of a seat takes its row, and only one can. What is
typed and shown is sealed on the way (models/line.py).
"""

import asyncio
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl

import structlog
from sqlmodel import Session

from models.database import Database
from models.line import Channels, Cut, Line, Word
from models.logins import Seat
from models.vault import Vault
from workers.store import Store

log = structlog.get_logger(__name__)
CHUNK = 65_536
WINDOW = 262_144  # bytes that may be on their way to a browser; then the program waits
PATIENCE_S = 5.0  # for the farewell of the program
LEAVE = b"\r~."  # as at a terminal


class Seats:
    """Opens the consoles that are asked for at this worker's site."""

    def __init__(self, database: Database, store: Store, vault: Vault, *, client: Callable[[], Channels], worker: str, site: str) -> None:
        self._database = database
        self._store = store
        self._vault = vault
        self._client = client
        self._worker = worker
        self._site = site
        self._heard: set[str] = set()  # the page calls until somebody answers

    async def answer(self, seat_id: str) -> None:
        """Open it, if nobody else does; returns when the console has ended."""
        if seat_id in self._heard:
            return
        self._heard.add(seat_id)
        try:
            seat = await self._store.write(lambda session: self._take(session, seat_id))
            if seat is not None:
                await self._open(seat)
        finally:
            self._heard.discard(seat_id)

    async def _open(self, seat: Seat) -> None:
        client = self._client()
        try:
            async with Line(client, seat.id, self._vault.derived(f"console {seat.id}"), "worker") as line:
                try:
                    code = await _Sitting(line, seat).go_on()
                except asyncio.CancelledError:
                    await line.say(Word.END, b"the worker is being stopped; open it again")
                    raise
                await line.say(Word.END, b"%d" % code)
        except Cut as cut:
            log.info("console_cut", ctid=seat.ctid, by=seat.by, why=str(cut))
        finally:
            client.close()

    def _take(self, session: Session, seat_id: str) -> Seat | None:
        seat = session.get(Seat, seat_id, with_for_update=True)
        if seat is None or seat.site != self._site or seat.worker not in (None, self._worker) or seat.until <= self._database.now(session):
            return None
        seat.worker = self._worker
        session.add(seat)
        return seat


class _Sitting:
    """One program on one terminal."""

    def __init__(self, line: Line, seat: Seat) -> None:
        self._line, self._seat = line, seat
        self._on_the_way = 0  # bytes that were sent and have not reached the browser
        self._room = asyncio.Event()

    async def go_on(self) -> int:
        """Until the program has ended, or the person has left; the program's exit code. Raises Cut."""
        self._master, slave = os.openpty()
        os.set_blocking(self._master, False)
        self._resize(self._seat.columns, self._seat.rows)
        argv = [sys.executable, "-P", "-m", "workers.console", str(self._seat.ctid), f"--by={self._seat.by}", f"--because={self._seat.because}"]
        with_terminal = os.environ | {"TERM": "xterm-256color"}
        try:
            self._process = await asyncio.to_thread(
                subprocess.Popen, argv, stdin=slave, stdout=slave, stderr=slave, env=with_terminal, start_new_session=True
            )
        except OSError:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        tasks = [asyncio.create_task(work) for work in (self._shown(), self._typed())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            code = await asyncio.shield(self._ended())
        for task in done:
            task.result()
        return code

    async def _shown(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._room.clear()
            if self._on_the_way >= WINDOW:
                await self._room.wait()
                continue
            await _ready(self._master, loop.add_reader, loop.remove_reader)
            try:
                chunk = os.read(self._master, CHUNK)
            except BlockingIOError:
                continue
            except OSError:  # its last end was closed: the program is gone
                return
            if not chunk:
                return
            self._on_the_way += len(chunk)
            await self._line.say(Word.SHOWN, chunk)

    async def _typed(self) -> None:
        while True:
            word, body = await self._line.heard()
            if word is Word.KEYS:
                await self._type(body)
            elif word is Word.SIZE:
                columns, rows = (int(number) for number in body.split())
                self._resize(columns, rows)
                self._process.send_signal(signal.SIGWINCH)
            elif word is Word.ACK:
                self._on_the_way -= int(body)
                self._room.set()
            elif word is Word.END:
                return

    async def _type(self, keys: bytes) -> None:
        loop = asyncio.get_running_loop()
        while keys:
            try:
                keys = keys[os.write(self._master, keys) :]
            except BlockingIOError:
                await _ready(self._master, loop.add_writer, loop.remove_writer)

    async def _ended(self) -> int:
        """The program says good-bye in the audit; only where it does not is it killed."""
        if self._process.poll() is None:
            with suppress(OSError):
                os.write(self._master, LEAVE)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, PATIENCE_S)
        if self._process.poll() is None:
            self._process.kill()
        code = await asyncio.to_thread(self._process.wait)
        os.close(self._master)
        return code

    def _resize(self, columns: int, rows: int) -> None:
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def _ready(descriptor: int, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(descriptor)
