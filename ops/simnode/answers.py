"""Containers answer on their own addresses: one line `hostname counter` a connection, as the recorded busybox image does."""

import asyncio
import contextlib
import json
import socket
import struct
import time
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simnode.containers import Containers

LOOPBACK = ip_network("127.0.0.0/8")  # the only addresses a simulated node may take on this machine
PORT = 7000
TRY_AGAIN_S = 0.02
RESET = struct.pack("ii", 1, 0)


class Answers:
    """The TCP listeners of one node's running containers."""

    def __init__(self, node: "Containers") -> None:
        self.node = node
        self._open: dict[str, tuple[int, asyncio.Server | None]] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def open(self, ctid: int, address: str, *, after_s: float) -> None:
        """Answer on `address` after so many real seconds; addresses outside 127/8 only count as up."""
        if ip_interface(address).ip not in LOOPBACK or self._open.get(address, (None, None))[0] == ctid:
            return
        self._open[address] = (ctid, None)
        tried = asyncio.Event()
        task = asyncio.create_task(self._listen_after(ctid, address, after_s, tried))  # a command that is killed has set it up all the same
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        if not after_s:
            await tried.wait()

    async def _listen_after(self, ctid: int, address: str, after_s: float, tried: asyncio.Event) -> None:
        try:
            await asyncio.sleep(after_s)
            while self._open.get(address) == (ctid, None) and not await self._listen(ctid, address):
                tried.set()
                await asyncio.sleep(TRY_AGAIN_S)  # taken, e.g. by a twin on another node: silent until that lets go
        finally:
            tried.set()

    async def _listen(self, ctid: int, address: str) -> bool:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await self._answer(ctid, writer)

        server: asyncio.Server | None = None
        try:
            server = await asyncio.start_server(answer, str(ip_interface(address).ip), PORT, backlog=512, start_serving=False)
            await server.start_serving()
        except OSError:
            server.close() if server else None
            return False
        except asyncio.CancelledError:  # start_server itself would leave a socket behind that silences the address for ever
            server.close() if server else None
            raise
        if self._open.get(address) != (ctid, None):  # closed meanwhile
            server.close()
            return True
        self._open[address] = (ctid, server)
        self.note(ctid, address, up=not self.node.state(ctid).frozen)
        return True

    async def _answer(self, ctid: int, writer: asyncio.StreamWriter) -> None:
        try:
            while self.node.state(ctid).frozen:  # noqa: ASYNC110   # accepted by the kernel, but nobody inside reads
                await asyncio.sleep(0.01)
            state = self.node.state(ctid)
            if state.running:
                state.answers += 1
                writer.write(f"{state.hostname} {state.answers}\n".encode())
                await writer.drain()
            else:
                link = writer.get_extra_info("socket")
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)  # or the kernel would say goodbye for it, which is an answer
                writer.transport.abort()  # what it was asked dies with it: the visitor is reset
        finally:
            writer.close()

    @property
    def opening(self) -> int:
        """How many addresses are still to be listened on."""
        return len(self._late)

    @property
    def listening(self) -> list[str]:
        """Addresses that are listened on now."""
        return [address for address, (_, server) in self._open.items() if server]

    async def close(self, ctid: int, address: str) -> None:
        """Refuse connections from now on."""
        if self._open.get(address, (None, None))[0] != ctid:
            return
        server = self._open.pop(address)[1]
        if server:
            server.close()
            self.note(ctid, address, up=False)

    def note(self, ctid: int, address: str, *, up: bool) -> None:
        """A line of answers.jsonl: from when on a visitor is answered, or not; by this, measured downtime is judged."""
        line = {"at": time.time(), "ctid": ctid, "address": address, "answers": up}
        with (self.node.folder / "answers.jsonl").open("a") as notes:
            notes.write(json.dumps(line) + "\n")

    async def close_all(self) -> None:
        for address, (ctid, _) in list(self._open.items()):
            await self.close(ctid, address)
        for task in self._late:
            task.cancel()
