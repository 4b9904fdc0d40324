"""One command over one SSH connection, with the traps of queue-facts §5 closed: a lost link is Unsure, never success.

The only file that quotes for a shell. Knows nothing of pooling (links.py) and nothing of the runner (workers/node).
"""
# ruff: noqa: ARG002, ASYNC109 -- asyncssh gives its callbacks more than we need; a timeout counts from the channel, not from the call

import asyncio
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import asyncssh

from models.errors import Unexpected, Unreachable, Unsure
from workers.commands import Finished

OURS = frozenset({"vzq-run", "vzq-ct", "vzq-exec", "vzq-mv"})  # what vzq installed; not on the node's PATH
HOME = '"${VZQ_NODE_ROOT-}"/var/lib/vzq/bin/'  # the node's own shell puts a simulated node's folder in front
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a look is some KiB and the runner cuts at 2 × 256 KiB


@dataclass(frozen=True)
class NodeAddress:
    """Where a node answers and how it proves that it is the one."""

    name: str
    host: str
    port: int
    user: str
    host_key: str  # public key in OpenSSH's form, one a line, pinned at enrolment


@dataclass(frozen=True)
class Raw:
    """A command that ended by itself, its output as bytes."""

    code: int
    out: bytes
    err: bytes
    seconds: float = 0.0

    def read(self) -> Finished:
        """The same as text that any database takes."""
        return Finished(self.code, as_text(self.out), as_text(self.err), self.seconds)


class Link(Protocol):
    """The way to one node; safe to use from many tasks at once."""

    @property
    def node(self) -> str:
        """The node's name, for sentences."""
        ...

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: timedelta) -> Finished:
        """The ended command; raises Unreachable or NodeFault when nothing was sent, Unsure when it may have run."""
        ...

    async def exchange(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: timedelta) -> Raw:
        """As `run`, but with the output's very bytes."""
        ...


class NotSent(Exception):
    """The channel could not be opened, so nothing ran; links.py tries once more or calls the node unreachable."""


def as_text(data: bytes) -> str:
    """Node output as text: what is no UTF-8 and NUL (which PostgreSQL refuses) become U+FFFD."""
    return data.decode(errors="replace").replace("\0", "\ufffd")


def quoted(words: Sequence[str]) -> str:
    """Words as a POSIX shell reads them back; the only place where anything is quoted."""
    return shlex.join(words)


def one_line(argv: Sequence[str]) -> str:
    """The command line for the node's shell; `exec` saves a process, our own programs get their folder."""
    words = quoted(argv)
    return f"exec {HOME}{words}" if argv[0] in OURS else f"exec {words}"


class _Conversation(asyncssh.SSHClientSession[bytes]):
    """Collects what comes back over one channel."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self.opened = False  # from here on the command may have been sent
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.out: list[bytes] = []
        self.err: list[bytes] = []
        self.size = 0
        self.code: int | None = None
        self.signal = ""
        self._on_closed: Callable[[], None] | None = on_closed
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.opened = True
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.size += len(data)
        if self.size <= LARGEST_ANSWER:
            (self.err if datatype else self.out).append(data)
        else:
            self.hang_up()

    def exit_status_received(self, status: int) -> None:
        self.code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: FBT001
        self.signal = signal

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        self.let_go()

    def let_go(self) -> None:
        """Give the slot back, once: when the channel is really closed, or was never opened."""
        if self._on_closed:
            self._on_closed()
            self._on_closed = None

    def hang_up(self) -> None:
        """Close the channel; the command on the node is not ended by that."""
        if self._channel:
            self._channel.abort()


async def converse(
    connection: asyncssh.SSHClientConnection,
    argv: Sequence[str],
    *,
    stdin: bytes,
    timeout: timedelta,
    node: str,
    on_closed: Callable[[], None],
) -> Raw:
    """The ended command's answer; raises NotSent or Unsure. Calls `on_closed` when the channel is closed, even if we are cancelled."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    talk = _Conversation(on_closed)
    # A task of its own: asyncssh leaks the channel when the opening itself is cancelled.
    opening = asyncio.ensure_future(connection.create_session(lambda: talk, one_line(argv), encoding=None))
    opening.add_done_callback(lambda task: _settle(task, talk))
    told = f"{argv[0]} on {node}"
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            channel, _ = await asyncio.shield(opening)
            with suppress(OSError, asyncssh.Error):  # closed by the other side already: its exit status tells the rest
                if stdin:
                    channel.write(stdin)
                channel.write_eof()
            await talk.closed
    except TimeoutError:
        _abandon(opening, talk)
        raise Unsure(f"{told} gave no answer within {timeout.total_seconds():.0f} s; it may still run: attach and look") from None
    except asyncio.CancelledError:
        _abandon(opening, talk)
        raise
    except (OSError, asyncssh.Error) as error:
        if not talk.opened:
            raise NotSent(str(error)) from error
        raise Unsure(f"the link broke while {told} was being started ({error}); attach and look") from error
    if talk.size > LARGEST_ANSWER:
        raise Unexpected(f"{told} printed more than {LARGEST_ANSWER} bytes; the rest was not read", signature=f"{argv[0]} flood")
    if talk.code is None:  # queue-facts §5: this looks like a quiet success to anybody who only checks for a code above 0
        what = f"was ended by SIG{talk.signal}" if talk.signal else "gave no exit code because the link broke"
        raise Unsure(f"{told} {what}; it may have run: attach and look")
    return Raw(talk.code, b"".join(talk.out), b"".join(talk.err), loop.time() - began)


def _settle(opening: asyncio.Task[tuple[asyncssh.SSHClientChannel[bytes], asyncssh.SSHClientSession[bytes]]], talk: _Conversation) -> None:
    failed = opening.cancelled() or opening.exception() is not None  # asked for here, so that nobody warns of it
    if failed and not talk.opened:
        talk.let_go()


def _abandon(opening: asyncio.Task[tuple[asyncssh.SSHClientChannel[bytes], asyncssh.SSHClientSession[bytes]]], talk: _Conversation) -> None:
    if opening.done():
        talk.hang_up()
    else:
        opening.add_done_callback(lambda _task: talk.hang_up())


@dataclass(frozen=True)
class HostKey:
    """What a node shows before anybody logs in; a person compares it, then it is pinned."""

    line: str  # as in authorized_keys and known_hosts: "ssh-ed25519 AAAA…"
    fingerprint: str  # "SHA256:…", as `ssh-keygen -lf` prints it
    algorithm: str


def host_key(key: asyncssh.SSHKey) -> HostKey:
    """The printable form of a public key."""
    line = " ".join(key.export_public_key().decode().split()[:2])
    return HostKey(line, key.get_fingerprint("sha256"), key.get_algorithm())


async def scan_host_key(host: str, port: int, *, timeout: timedelta) -> HostKey:
    """The key a node shows right now, for enrolment. Proves nothing by itself and logs in nowhere."""
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            key = await asyncssh.get_server_host_key(host, port, config=None)
    except (OSError, TimeoutError, asyncssh.Error) as error:
        why = str(error) or f"no answer within {timeout.total_seconds():.0f} s"
        raise Unreachable(f"no SSH server at {host} port {port} showed a host key: {why}; check address, port and firewall") from error
    if key is None:
        raise Unreachable(f"the SSH server at {host} port {port} showed no host key; check that it is OpenSSH's sshd")
    return host_key(key)
