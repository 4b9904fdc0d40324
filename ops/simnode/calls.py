"""One call of a thin client: its words, its files, its output, and what happens when it is killed."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simnode.node import Node

LONGEST = 4 << 20  # bytes of one request; more than the kernel lets anybody pass as arguments


class Refused(Exception):
    """The tool says `message` on stderr and ends with `code`."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Call:
    """What a tool sees of the process that called it."""

    def __init__(self, node: "Node", link: socket.socket, *, words: list[str], folder: str, given: bytes, files: list[int]) -> None:
        self.node = node
        self.words = words[1:]
        self.path = words[0]  # of the tool as it was called
        self.tool = words[0].rpartition("/")[2]
        self.folder = folder
        self.given = given  # the caller's whole input, for tools that take it with the question
        self.files = files  # the caller's stdin, stdout, stderr
        self.pid = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.quiet = False
        self.effects: list[str] = []  # what was really changed, for the journal
        self.stopped_by: int | None = None  # signal a clean-up was asked with
        self.cleans_up = False  # TERM and INT run a clean-up (create) instead of ending the call where it is
        self.ctid: int | None = None
        self.command = ""  # of vzctl: create, set, …
        self.began = time.time()
        self.answered: asyncio.Queue[int] = asyncio.Queue()  # by the client: exit codes of its children, 0 for what is printed
        self._link = link
        self._logged = False

    @property
    def shown(self) -> str:
        """The command line as `ps` and "Locked by" show it."""
        return " ".join([self.tool, *self.words])

    def log_messages(self) -> None:
        """From now on what is said goes to vzctl.log too."""
        self._logged = True

    async def out(self, text: str) -> None:
        """A message of level 0: stdout and the log."""
        await self._say(b"o", text)

    async def err(self, text: str) -> None:
        """An error message: stderr and the log."""
        await self._say(b"e", text)

    async def noise(self, text: str) -> None:
        """What a helper script writes to stderr; --quiet does not reach it and no log has it."""
        await self.write(b"e", f"{text}\n".encode(errors="surrogateescape"))

    async def print(self, text: str) -> None:
        """Output that is not a message, e.g. a listing: stdout whatever --quiet says, never logged."""
        await self.write(b"o", text.encode(errors="surrogateescape"))

    async def _say(self, kind: bytes, text: str) -> None:
        if self._logged:
            self.node.journal.log(self, text)
        if not self.quiet:
            await self.write(kind, f"{text}\n".encode(errors="surrogateescape"))

    async def write(self, kind: bytes, text: bytes) -> None:
        """One frame to the client; a client that is gone is noticed by the reader, not here."""
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._link, kind + len(text).to_bytes(4, "little") + text)

    async def put(self, text: str, *, error: bool = False) -> None:
        """Print as a shell script does, which goes on when it is out: a script whose reader is gone dies of it."""
        await self.write(b"E" if error else b"O", text.encode(errors="surrogateescape"))
        await self.answered.get()

    async def child(self, *words: str, shown: str = "all") -> int:
        """Run another tool of the node as the client's own child, which outlives it; its exit code. `shown`: all, errors, nothing."""
        path = self.node.bin_dir / words[0]
        await self.write(b"r", "\0".join([shown, str(path), *words[1:]]).encode(errors="surrogateescape"))
        return await self.answered.get()

    async def phase(self, name: str, step: str | float = 0.0) -> None:
        """Come to a named point: faults strike here, then the step takes its time."""
        await self.node.faults.strike(self, name)
        await self.node.latency.of(step)


Tool = Callable[[Call], Awaitable[int]]


class CallServer:
    """Takes calls on the node's abstract socket; each runs as a task that dies with its client."""

    def __init__(self, node: "Node", tool_named: Callable[[str], Tool | None]) -> None:
        self.node = node
        self.tool_named = tool_named
        self.running: dict[int, Call] = {}  # by pid
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None

    def open(self, name: str) -> None:
        """Listen; raises OSError when another simulator serves this node already."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.bind(f"\0{name}")
        self._socket.listen(512)
        self._keep(asyncio.create_task(self._accept(self._socket)))

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop listening and let every running call die where it is."""
        await self.drop_all()  # first: a socket that is closed while somebody still waits for it silences the next one of its number
        if self._socket:
            self._socket.close()

    async def drop_all(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            link, _ = await asyncio.get_running_loop().sock_accept(listener)
            self._keep(asyncio.create_task(self._serve(link)))

    async def _serve(self, link: socket.socket) -> None:
        files: list[int] = []
        try:
            uid = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
            if uid != os.getuid():  # abstract sockets have no file permissions
                return
            call = await self._read(link, files)
            if call:
                await self._run(call, link)
        finally:
            for fd in files:
                os.close(fd)
            link.close()

    async def _read(self, link: socket.socket, files: list[int]) -> Call | None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()

        def has_come() -> None:
            loop.remove_reader(link.fileno())
            readable.set_result(None)

        loop.add_reader(link.fileno(), has_come)
        try:
            await readable
        finally:
            loop.remove_reader(link.fileno())
        body, fds, _, _ = socket.recv_fds(link, 65536, 3)
        files += fds
        size = int.from_bytes(body[:4], "little")
        if len(body) < 4 or size > LONGEST:
            return None
        while len(body) < size + 4:
            piece = await loop.sock_recv(link, 1 << 20)
            if not piece:
                return None
            body += piece
        folder, given, *words = body[4:].split(b"\0")
        text = [word.decode(errors="surrogateescape") for word in words]
        return Call(self.node, link, words=text, folder=os.fsdecode(folder), given=given, files=files)

    async def _run(self, call: Call, link: socket.socket) -> None:
        self.running[call.pid] = call
        work = asyncio.create_task(self._work(call))
        watch = asyncio.create_task(self._watch(call, link, work))
        try:
            await asyncio.wait({work})
        finally:
            watch.cancel()
            work.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
            self.running.pop(call.pid, None)

    async def _work(self, call: Call) -> None:
        code: int | None = None
        try:
            tool = self.tool_named(call.tool)
            if tool is None:
                code = 127
                await call.noise(f"{call.tool}: the simulated node has no such tool")
            else:
                code = await tool(call)
        except Refused as refused:
            code = refused.code
            if refused.message:
                await call.err(refused.message)
        except Exception as error:  # noqa: BLE001  a fault of the simulator must not look like an answer of vzctl
            code = 254
            await call.noise(f"{call.tool}: the simulator itself failed: {error!r}")
            self.node.journal.failed(call, error)
        finally:
            self.node.journal.ended(call, code)
        await call.write(b"c", str(code).encode())

    async def _watch(self, call: Call, link: socket.socket, work: "asyncio.Task[None]") -> None:
        """Take its answers, pass signals on, and end the work when the client is gone."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while letter := await loop.sock_recv(link, 1):
                if letter == b"A":
                    call.answered.put_nowait(0)
                elif letter == b"R":
                    call.answered.put_nowait((await loop.sock_recv(link, 1) or b"\xff")[0])
                else:
                    await self._signalled(call, signal.SIGTERM if letter == b"T" else signal.SIGINT, work)
        work.cancel()

    async def _signalled(self, call: Call, number: signal.Signals, work: "asyncio.Task[None]") -> None:
        if call.cleans_up:
            call.stopped_by = number
            work.cancel()
        else:
            await call.write(b"s", str(int(number)).encode())
