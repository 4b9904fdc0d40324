"""`/console`: a shell inside a container, in the browser. What sits before the node is the program behind `vzq console`, on a terminal of its own.

The browser gets a ticket with the page: one console, once, within seconds, for this login alone. It is shown in the first message,
so that it is in no address and no log. This process never touches the node: it starts `python -m workers.console` and passes bytes on.
"""

import asyncio
import json
import os
import secrets
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from fcntl import ioctl
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlmodel import Session, col, delete
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from models.access import Scope
from models.fleet import Container, ContainerState
from models.logins import Ticket
from producers.embedded.programs import environment, python
from producers.house import House
from producers.page.door import Refused
from producers.page.guard import Views, known
from producers.page.logins import hashed
from producers.page.settings import PageSettings
from producers.page.visit import COOKIE, Visit
from producers.tokens import Caller

log = structlog.get_logger(__name__)
views = Views()
TICKET = timedelta(seconds=30)
MOST = 20  # consoles of one process
STOP_S = 0.5  # how soon it notices that the service stops
PATIENCE_S = 5.0  # for the farewell of the program
CHUNK = 65_536
LEAVE = b"\r~."  # as at a terminal
LARGEST = 1000  # columns or rows
REFUSED = 4403  # close codes of our own
BUSY = 4429


def offered(house: House, settings: PageSettings) -> bool:
    """Consoles are to be had here: this host has the key that opens the nodes."""
    return house.settings.ssh_key_file.exists() if settings.page_console is None else settings.page_console


@views.get("/console/{ctid:int}")
async def ask(visit: Visit) -> Response:
    """Why somebody wants to go in."""
    return visit.show("console.html", ct=await _container(visit), ticket="", nonce="")


@views.post("/console/{ctid:int}")
async def enter(visit: Visit) -> Response:
    """The page with the terminal, and the ticket for it."""
    told = await _container(visit)
    ticket = secrets.token_urlsafe(32)

    def give() -> None:
        with visit.house.database.write() as session:
            now = visit.house.clock.now()
            session.execute(delete(Ticket).where(col(Ticket.until) <= now))
            session.add(Ticket(hash=hashed(ticket), login=hashed(visit.cookie), ctid=told["ctid"], because=visit.because, until=now + TICKET))

    await run_in_threadpool(give)
    nonce = secrets.token_urlsafe(16)
    visit.request.scope["state"]["nonce"] = nonce
    return visit.show("console.html", ct=told, ticket=ticket, nonce=nonce)


async def _container(visit: Visit) -> Any:  # noqa: ANN401 - JSON
    visit.needs("operate")
    if not offered(visit.house, visit.request.app.state.settings):
        detail = "this service's host has no SSH key for the nodes; use `vzq console` on a management host of the site"
        raise Refused(409, {"title": "There are no consoles here", "detail": detail})
    told = await visit.door.get(f"/v1/containers/{visit.path['ctid']}")
    if told["state"] != ContainerState.PRESENT:
        raise Refused(409, {"title": "There is nothing to enter", "detail": f"container {told['ctid']} is {told['state']}"})
    return told


async def connect(socket: WebSocket) -> None:
    """From the first message to the end of the shell."""
    house: House = socket.app.state.house
    origin = socket.headers.get("origin", "")
    cookie = socket.cookies.get(COOKIE, "")
    caller = await run_in_threadpool(known, house, cookie) if cookie else None
    if caller is None or urlsplit(origin).netloc != socket.headers.get("host") or not caller.may(Scope.OPERATE) or caller.customer is not None:
        await socket.close(REFUSED)
        return
    open_now: set[str] = socket.app.state.consoles
    await socket.accept()
    try:
        first = json.loads(await asyncio.wait_for(socket.receive_text(), 10))
        ticket = await run_in_threadpool(_redeem, house, str(first["ticket"]), cookie)
        size = _size(first)
    except (TimeoutError, ValueError, KeyError, TypeError, WebSocketDisconnect):
        ticket, size = None, (80, 24)
    if ticket is None or len(open_now) >= MOST:
        why = "the ticket is used up or too old; load the page again" if ticket is None else f"{MOST} consoles are open; close one"
        await _close(socket, REFUSED if ticket is None else BUSY, why)
        return
    open_now.add(ticket.hash)
    try:
        await _sit(socket, caller, ticket, cookie=cookie, size=size)
    finally:
        open_now.discard(ticket.hash)


async def _sit(socket: WebSocket, caller: Caller, ticket: Ticket, *, cookie: str, size: tuple[int, int]) -> None:
    house: House = socket.app.state.house
    master, slave = os.openpty()
    os.set_blocking(master, False)
    _resize(master, size)
    argv = python("workers.console", str(ticket.ctid), f"--by={caller.name}", f"--because={ticket.because}")
    try:
        with_terminal = {**os.environ, **environment(house.settings), "TERM": "xterm-256color"}
        process = await run_in_threadpool(_start, argv, slave, with_terminal)
    except OSError as error:
        os.close(master)
        await _close(socket, 1011, f"no console can be started here: {error.strerror}")
        return
    finally:
        os.close(slave)
    log.info("console_opened", ctid=ticket.ctid, by=caller.name)
    tasks = [asyncio.create_task(work) for work in (_shown(socket, master), _typed(socket, master, process), _still(socket, house, cookie))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        code = await _ended(process, master)
        os.close(master)
        log.info("console_closed", ctid=ticket.ctid, by=caller.name, code=code)
        await _close(socket, 1000, "the shell has ended" if code == 0 else f"the console has ended with {code}")


def _start(argv: list[str], slave: int, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)


async def _shown(socket: WebSocket, master: int) -> None:
    """What the program prints; when the browser is slow the program waits."""
    while True:
        await _ready(master, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)
        try:
            chunk = os.read(master, CHUNK)
        except BlockingIOError:
            continue
        except OSError:  # its last end was closed: the program is gone
            return
        if not chunk:
            return
        await socket.send_bytes(chunk)


async def _typed(socket: WebSocket, master: int, process: "subprocess.Popen[bytes]") -> None:
    """Keys as bytes, the size of the window as text."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        keys = message.get("bytes")
        if keys is None:
            with suppress(ValueError, KeyError, TypeError):
                _resize(master, _size(json.loads(message.get("text") or "{}")))
                process.send_signal(signal.SIGWINCH)
            continue
        while keys:
            try:
                keys = keys[os.write(master, keys) :]
            except BlockingIOError:
                await _ready(master, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)


async def _still(socket: WebSocket, house: House, cookie: str) -> None:
    """Ends when the login does, or the service."""
    recheck_s, since = socket.app.state.settings.page_recheck_s, 0.0
    while not socket.app.state.closing.is_set():
        await asyncio.sleep(STOP_S)
        since += STOP_S
        if since >= recheck_s:
            since = 0.0
            if await run_in_threadpool(known, house, cookie) is None:
                return


async def _ready(master: int, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(master, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(master)


async def _ended(process: "subprocess.Popen[bytes]", master: int) -> int:
    """The program says good-bye in the audit; only where it does not is it killed."""
    if process.poll() is None:
        with suppress(OSError):
            os.write(master, LEAVE)
        with suppress(subprocess.TimeoutExpired):
            await run_in_threadpool(process.wait, PATIENCE_S)
    if process.poll() is None:
        process.kill()
    return await run_in_threadpool(process.wait)


def _redeem(house: House, shown: str, cookie: str) -> Ticket | None:
    """The ticket, which is worth nothing from now on; None for one that is not this login's, or too old."""
    with house.database.write() as session:
        ticket = _taken(session, hashed(shown))
        if ticket is None or ticket.login != hashed(cookie) or ticket.until <= house.clock.now():
            return None
        there = session.get(Container, ticket.ctid)
        return ticket if there is not None else None


def _taken(session: Session, digest: str) -> Ticket | None:
    ticket = session.get(Ticket, digest, with_for_update=True)
    if ticket is not None:
        session.delete(ticket)
        session.flush()
    return ticket


def _size(told: Any) -> tuple[int, int]:  # noqa: ANN401 - JSON
    columns, rows = int(told["columns"]), int(told["rows"])
    return min(max(columns, 1), LARGEST), min(max(rows, 1), LARGEST)


def _resize(master: int, size: tuple[int, int]) -> None:
    columns, rows = size
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def _close(socket: WebSocket, code: int, why: str) -> None:
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code, why[:120])


route = WebSocketRoute("/console/socket", connect)
