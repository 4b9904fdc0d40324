"""A terminal on a node: one program on a pty over a link, for as long as somebody sits before it.

On a pty what was started ends when the channel does (queue-facts §5), so nothing is left behind when he goes.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncssh

from models.errors import Unreachable
from workers.transport.links import NodeLink
from workers.transport.ssh import one_line

CHUNK = 65_536


class Terminal:
    """What is typed and what is shown; bytes both ways."""

    def __init__(self, process: "asyncssh.SSHClientProcess[bytes]") -> None:
        self._process = process

    async def shown(self) -> AsyncIterator[bytes]:
        """What the program prints, until it ends; raises Unreachable when the link dies."""
        while True:
            try:
                chunk = await self._process.stdout.read(CHUNK)
            except (OSError, asyncssh.Error) as error:
                raise Unreachable(f"the connection was lost ({error}); what ran in the shell has ended with it") from error
            if not chunk:
                return
            yield chunk

    def type(self, keys: bytes) -> None:
        """Send what was typed."""
        self._process.stdin.write(keys)

    def resize(self, columns: int, rows: int) -> None:
        """The window has another size now."""
        self._process.change_terminal_size(columns, rows)

    def leave(self) -> None:
        """Hang up: what was started ends."""
        self._process.close()

    async def ended(self) -> int | None:
        """The program's exit code; None when the link died or a signal ended it."""
        await self._process.wait_closed()
        return self._process.exit_status


@asynccontextmanager
async def terminal(link: NodeLink, argv: Sequence[str], *, kind: str, size: tuple[int, int]) -> AsyncIterator[Terminal]:
    """Start `argv` on a pty of this kind and size; ends it at the latest when the block is left. Raises NodeFault where the node cannot be had."""
    async with link.connection() as connection:
        try:
            process = await connection.create_process(one_line(argv), term_type=kind, term_size=size, encoding=None)
        except (OSError, asyncssh.Error) as error:
            raise Unreachable(f"{link.node} gives no terminal ({error}); see MaxSessions and PermitTTY of its sshd") from error
        try:
            yield Terminal(process)
        finally:
            process.close()
            await process.wait_closed()
