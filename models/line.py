"""A console on its way between a service and a worker, over two channels of Redis: sealed, in order and of one seat, or it is cut.

Redis carries what people type into root shells, so it must neither read it nor add to it: each frame is encrypted with a key of
the seat, which is made from the house's secret key, and numbered. One frame lost, doubled, late or made up ends the console.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

End = Literal["page", "worker"]
HERE_S = 2.0  # each end says so often that it is there
SILENCE_S = 10.0  # after which the other end is taken for dead
LISTEN_S = 0.5  # how soon an ear sees that it is to end


class Word(Enum):
    """What a frame is."""

    HERE = b"h"
    KEYS = b"k"  # what was typed
    SIZE = b"s"  # columns and rows: b"80 24"
    SHOWN = b"o"  # what the shell printed
    ACK = b"a"  # so many bytes of it have reached the browser: b"4096"
    END = b"e"  # from the page: the person has left; from the worker: the program's exit code, b"0", or why there is none


class Cut(Exception):
    """The line is no more; the text says why."""


class Channels(Protocol):
    """What is needed of a client of Redis."""

    def publish(self, channel: str, message: bytes) -> Any: ...  # noqa: ANN401
    def pubsub(self, **options: Any) -> Any: ...  # noqa: ANN401
    def close(self) -> None: ...


class Sealer:
    """The cipher of one end: numbers what goes out, and takes only what comes next."""

    def __init__(self, key: bytes, end: End) -> None:
        """`key` has 32 bytes and serves one seat only, for a number must never be used twice with it."""
        self._cipher = ChaCha20Poly1305(key)
        self._ours, self._theirs = (b"p", b"w") if end == "page" else (b"w", b"p")
        self._sent = self._taken = 0

    def seal(self, word: Word, body: bytes) -> bytes:
        """The next frame."""
        self._sent += 1
        return self._cipher.encrypt(self._ours + self._sent.to_bytes(11, "big"), word.value + body, None)

    def open(self, frame: bytes) -> tuple[Word, bytes]:
        """What the other end said next; raises Cut for anything else."""
        self._taken += 1
        try:
            plain = self._cipher.decrypt(self._theirs + self._taken.to_bytes(11, "big"), frame, None)
            return Word(plain[:1]), plain[1:]
        except (InvalidTag, ValueError):
            raise Cut("something on the way through Redis was lost or is not ours") from None


class Line:
    """One end of the way of a console; used within `async with`, from one loop. The page listens first and says nothing until it was answered."""

    def __init__(self, client: Channels, seat: str, key: bytes, end: End) -> None:
        self._client = client
        self._sealer = Sealer(key, end)
        self._first = end == "worker"
        other: End = "worker" if end == "page" else "page"
        self._says, self._hears = (f"vzq:console:{seat}:{whose}" for whose in (end, other))
        self._turn = asyncio.Lock()  # frames go out in the order of their numbers
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._ending = threading.Event()

    async def __aenter__(self) -> Self:
        """Listens when this returns; raises Cut when Redis is away."""
        loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        listening: asyncio.Future[bool] = loop.create_future()

        def listens(so: bool) -> None:  # noqa: FBT001
            if not listening.done():
                listening.set_result(so)

        def tell(act: Callable[[], Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(act)

        def listen() -> None:
            with contextlib.suppress(Exception), self._client.pubsub() as heard:  # whatever ends it, the line is cut
                heard.subscribe(self._hears)
                while not self._ending.is_set():
                    message = heard.get_message(timeout=LISTEN_S)
                    if message is not None and message["type"] == "subscribe":
                        tell(lambda: listens(True))
                    elif message is not None:
                        tell(lambda frame=message["data"]: self._take(frame))  # type: ignore[misc]
            tell(lambda: self._frames.put_nowait(None))
            tell(lambda: listens(False))

        threading.Thread(target=listen, name="console", daemon=True).start()
        if not await listening:
            raise Cut("Redis does not answer; vzq doctor tells more")
        self._here = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        self._here.cancel()

    async def say(self, word: Word, body: bytes = b"") -> None:
        """Send one frame; raises Cut when Redis is away."""
        async with self._turn:
            try:
                await asyncio.to_thread(self._client.publish, self._says, self._sealer.seal(word, body))
            except Exception as error:  # noqa: BLE001 - models do not know Redis's own
                raise Cut(f"Redis does not answer: {error}") from None

    async def heard(self, *, within_s: float = SILENCE_S) -> tuple[Word, bytes]:
        """The next frame that is not HERE; raises Cut when none came for so long, or none can come."""
        while True:
            try:
                async with asyncio.timeout(within_s):
                    frame = await self._frames.get()
            except TimeoutError:
                raise Cut(f"the other end has said nothing for {within_s:.0f} s") from None
            if frame is None:
                raise Cut("the connection to Redis has ended")
            word, body = self._sealer.open(frame)
            if word is not Word.HERE:
                return word, body

    async def answered(self, *, within_s: float) -> bool:
        """Whether the other end has said anything by then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._answered.wait()
        return self._answered.is_set()

    def _take(self, frame: bytes) -> None:
        self._answered.set()
        self._frames.put_nowait(frame)

    async def _keep(self) -> None:
        if not self._first:
            await self._answered.wait()
        with contextlib.suppress(Cut):
            while True:
                await self.say(Word.HERE)
                await asyncio.sleep(HERE_S)
