"""The network between workers and nodes: a proxy a node, whose links can be cut, delayed and made to swallow everything."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any


class Wire:
    """All connections to one node."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.port = 0
        self.delay_s = 0.0  # before each piece is handed on
        self.open = True  # False: new connections are refused
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def cut(self) -> int:
        """Both ends see the connection break, in the middle of whatever was on it."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    async def _connected(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if not self.open:
            near.transport.abort()
            return
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            near.transport.abort()
            return
        self._writers |= {near, far}
        await asyncio.gather(self._carry(near_reader, far), self._carry(far_reader, near))
        self._writers -= {near, far}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(4096):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


class Network:
    """The wires to all nodes, carried by a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="network", daemon=True).start()
        self.wires: dict[str, Wire] = {}

    def lay(self, node: str, port: int) -> int:
        """A wire to the node behind `port`; where it is to be reached."""
        wire = self.wires[node] = Wire(port)
        self.do(wire.listen())
        return wire.port

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
