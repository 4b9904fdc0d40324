"""`/console`: a shell inside a container, in the browser. A worker of the container's site sits before the node.

The browser gets a ticket with the page: one console, once, within seconds, for this login alone. It is shown in the first message,
so that it is in no address and no log. Then a row asks for a seat (workers/seats.py), and this process passes bytes on.
"""

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
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
from models.line import Channels, Cut, Line, Word
from models.logins import Seat, Ticket
from models.messages import console_channel
from models.vault import VaultError
from producers.bell import UNAVAILABLE
from producers.bell import connect as client_of
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
SEAT = timedelta(seconds=8)  # within which a worker takes it
MOST = 20  # consoles of one process
STOP_S = 0.5  # how soon it notices that the service stops
CALL_S = 1.0  # how often workers are called, until one answers
ACK_BYTES = 32_768  # the worker is told so often what has reached the browser
LARGEST = 1000  # columns or rows
REFUSED = 4403  # close codes of our own
BUSY = 4429


def offered(settings: PageSettings) -> bool:
    """Consoles are to be had here."""
    return settings.page_console


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
    if not offered(visit.request.app.state.settings):
        detail = "VZQ_PAGE_CONSOLE=false says so; use `vzq console` on a management host of the site"
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


@dataclass(frozen=True)
class _Sitting:
    socket: WebSocket
    line: Line
    house: House
    cookie: str


async def _sit(socket: WebSocket, caller: Caller, ticket: Ticket, *, cookie: str, size: tuple[int, int]) -> None:
    house: House = socket.app.state.house
    client = client_of(house.settings.redis)
    code, why = 1011, ""
    try:
        seat = await run_in_threadpool(_asked_for, house, caller, ticket, size)
        key = await run_in_threadpool(house.vault.derived, f"console {seat.id}")
        async with Line(client, seat.id, key, "page") as line:
            calling = asyncio.create_task(_called(client, seat))
            try:
                answered = await line.answered(within_s=SEAT.total_seconds())
            finally:
                calling.cancel()
            if calling.done():  # it has failed, for it never ends
                calling.result()
            if not await run_in_threadpool(_settled, house, seat) or not answered:
                why = f"no worker of site {seat.site} answers; see that one runs there, or use vzq console on a management host"
            else:
                log.info("console_opened", ctid=ticket.ctid, by=caller.name)
                code, why = 1000, await _passed_on(_Sitting(socket, line, house, cookie))
                log.info("console_closed", ctid=ticket.ctid, by=caller.name, why=why)
    except UNAVAILABLE:
        why = "Redis does not answer; vzq doctor tells more"
    except VaultError:
        why = "the service has no usable secret key; vzq doctor tells more"
    except Cut as cut:
        why = str(cut)
    finally:
        client.close()
        await _close(socket, code, why)


async def _passed_on(sitting: _Sitting) -> str:
    """Bytes go to and fro until one end has had enough; why it has ended."""
    tasks = [asyncio.create_task(work(sitting)) for work in (_shown, _typed, _still)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        with suppress(Cut):
            await sitting.line.say(Word.END)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _shown(sitting: _Sitting) -> str:
    """What the shell prints; the worker waits while the browser is slow."""
    passed = 0
    while True:
        word, body = await sitting.line.heard()
        if word is Word.END:
            return {b"0": "the shell has ended"}.get(body) or (f"the console has ended with {body.decode()}" if body.isdigit() else body.decode())
        if word is not Word.SHOWN:
            continue
        try:
            await sitting.socket.send_bytes(body)
        except (RuntimeError, WebSocketDisconnect):
            return "the browser has left"
        passed += len(body)
        if passed >= ACK_BYTES:
            await sitting.line.say(Word.ACK, b"%d" % passed)
            passed = 0


async def _typed(sitting: _Sitting) -> str:
    """Keys come as bytes, the size of the window as text."""
    while (message := await sitting.socket.receive())["type"] != "websocket.disconnect":
        if (keys := message.get("bytes")) is not None:
            await sitting.line.say(Word.KEYS, keys)
            continue
        with suppress(ValueError, KeyError, TypeError):
            await sitting.line.say(Word.SIZE, b"%d %d" % _size(json.loads(message.get("text") or "{}")))
    return "the browser has left"


async def _still(sitting: _Sitting) -> str:
    """Ends when the login does, or the service."""
    app = sitting.socket.app
    recheck_s, since = app.state.settings.page_recheck_s, 0.0
    while not app.state.closing.is_set():
        await asyncio.sleep(STOP_S)
        since += STOP_S
        if since >= recheck_s:
            since = 0.0
            if await run_in_threadpool(known, sitting.house, sitting.cookie) is None:
                return "the login is over"
    return "the service stops"


def _asked_for(house: House, caller: Caller, ticket: Ticket, size: tuple[int, int]) -> Seat:
    """The row that lets a worker of the container's site open it."""
    with house.database.write() as session:
        now = house.database.now(session)
        session.execute(delete(Seat).where(col(Seat.until) <= now - SEAT))
        container = session.get_one(Container, ticket.ctid)
        seat = Seat(
            id=secrets.token_urlsafe(24), site=container.site, ctid=ticket.ctid, by=caller.name, because=ticket.because,
            columns=size[0], rows=size[1], until=now + SEAT,
        )  # fmt: skip
        session.add(seat)
        return seat


async def _called(client: Channels, seat: Seat) -> None:
    """Now and then: a worker that is just coming up hears it too."""
    while True:
        await run_in_threadpool(client.publish, console_channel(seat.site), seat.id.encode())
        await asyncio.sleep(CALL_S)


def _settled(house: House, seat: Seat) -> bool:
    """Whether a worker has taken it; from now on none does."""
    with house.database.write() as session:
        row = session.get(Seat, seat.id, with_for_update=True)
        if row is not None:
            session.delete(row)
        return row is not None and row.worker is not None


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


async def _close(socket: WebSocket, code: int, why: str) -> None:
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code, why[:120])


route = WebSocketRoute("/console/socket", connect)
