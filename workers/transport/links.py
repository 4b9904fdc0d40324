"""SSH connections, one a node and shared by all who talk to it: eight channels, keepalive, jittered backoff, idle close."""
# ruff: noqa: ARG002, ASYNC109 -- asyncssh gives its callbacks more than we need; a timeout counts from the channel, not from the call

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncssh
import structlog

from models.clock import Clock
from models.errors import NodeFault, Unreachable, Unsure
from workers.commands import Finished
from workers.transport.ssh import NodeAddress, NotSent, Raw, converse, host_key

log = structlog.get_logger(__name__)
CHANNELS = 8  # sshd's MaxSessions is 10; an abandoned command keeps its session for a while
WIRES = 3  # connections a node at most: waits for long commands must not keep a look or a cancel standing in line
CROWDED = timedelta(seconds=0.5)  # in line, before another connection is opened; a burst of short calls is faster over one
CONNECTS = 20  # at once over all nodes: a key exchange costs some 10 ms of processor time
CONNECT_S = 10.0
LOGIN_S = 15.0
KEEPALIVE_S = 15
KEEPALIVES = 3  # a peer that is silent for a minute is gone
IDLE = timedelta(minutes=5)
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@dataclass(eq=False)
class _Wire:
    """A connection and who uses it."""

    connection: asyncssh.SSHClientConnection
    busy: int = 0  # channels that are not closed yet, whether anybody waits for them or not
    retired: bool = False  # takes nobody new; closes when the last channel does
    resting: asyncio.TimerHandle | None = None  # set while nobody uses it

    @property
    def usable(self) -> bool:
        return not self.retired and not self.connection.is_closed()


class _Pin(asyncssh.SSHClient):
    """Refuses every key that is not pinned, but remembers it for the sentence."""

    came: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.came = key
        return False


class Links:
    """The way to every node of this process."""

    def __init__(self, *, client_key: Path, clock: Clock, rng: random.Random, idle: timedelta = IDLE) -> None:
        """Reads the private key at once, so that a worker without one does not start."""
        try:
            self.key = asyncssh.read_private_key(client_key)
        except (OSError, asyncssh.KeyImportError) as error:
            raise OSError(
                f"no usable private key at {client_key} ({error}); make one with `ssh-keygen -t rsa -b 4096 -N '' -f {client_key}`"
                " (ssh-ed25519 where all nodes have OpenSSH 6.5 or newer) and put its .pub into the nodes' authorized_keys"
            ) from error
        self.clock = clock
        self.rng = rng
        self.idle = idle
        self.connects = asyncio.Semaphore(CONNECTS)
        self._links: dict[NodeAddress, NodeLink] = {}

    @property
    def public_key(self) -> str:
        """The line for a node's authorized_keys."""
        return host_key(self.key).line

    def to(self, address: NodeAddress) -> "NodeLink":
        """The link to a node; the same one for the same address and pinned key. Connects on first use."""
        if address not in self._links:
            self._links[address] = NodeLink(self, address)
        return self._links[address]

    async def close(self) -> None:
        """Close every connection. Detached commands on the nodes go on."""
        await asyncio.gather(*(link.close() for link in self._links.values()))
        self._links.clear()


class NodeLink:
    """The way to one node (a `Link`)."""

    def __init__(self, links: Links, address: NodeAddress) -> None:
        self._links = links
        self._address = address
        self._wires: list[_Wire] = []
        self._line: deque[asyncio.Future[None]] = deque()  # who waits for a channel
        self._connecting: asyncio.Task[NodeFault | None] | None = None
        self._failures = 0
        self._not_before = 0.0  # by the monotonic clock
        self._fault: NodeFault | None = None  # what the last attempt to connect ended with

    @property
    def node(self) -> str:
        return self._address.name

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: timedelta) -> Finished:
        """See `Link.run`. Waits as long as it takes for a channel; `timeout` counts from then."""
        return (await self.exchange(argv, stdin=stdin, timeout=timeout)).read()

    async def exchange(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: timedelta) -> Raw:
        """See `Link.exchange`."""
        log.debug("node_asked", node=self.node, command=[word[:80] for word in argv[:10]])  # of a step it is vzq-run with job, step and try
        for attempt in (1, 2):
            wire = await self._slot()
            try:
                return await converse(
                    wire.connection,
                    argv,
                    stdin=stdin,
                    timeout=timeout,
                    node=self.node,
                    on_closed=lambda wire=wire: self._release(wire),  # type: ignore[misc]  # binds this round's wire
                )
            except NotSent as error:  # the connection died while it idled: nothing ran, a new one may do
                self._retire(wire)
                if attempt == 2:
                    why = f"{self.node} accepts the login but no session ({error}); see MaxSessions and the log of its sshd"
                    raise Unreachable(why) from error
            except Unsure:
                self._retire(wire)  # what kept silent once is not trusted with the attach that follows
                raise
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """One channel's worth of a connection, for what is no command with an answer; raises NodeFault."""
        wire = await self._slot()
        try:
            yield wire.connection
        finally:
            self._release(wire)

    async def close(self) -> None:
        """Close the connections; a later `run` opens a new one."""
        if self._connecting:
            connecting, self._connecting = self._connecting, None  # one that had not begun cannot do it itself
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
        wires, self._wires = self._wires, []
        for wire in wires:
            wire.retired = True
            self._wake(wire)
            wire.connection.close()
        await asyncio.gather(*(wire.connection.wait_closed() for wire in wires))

    async def _slot(self) -> _Wire:
        while True:
            self._wires = [wire for wire in self._wires if wire.usable]
            for wire in self._wires:
                if wire.busy < CHANNELS:
                    wire.busy += 1
                    self._wake(wire)
                    return wire
            if self._wires:
                await self._stand_in_line()
            else:
                await self._connected()

    async def _stand_in_line(self) -> None:
        """Return when it is worth to look again, which may be for nothing."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(CROWDED.total_seconds() if len(self._wires) < WIRES else None):
                await turn
        except TimeoutError:
            with suppress(NodeFault):  # we still have a connection that works
                await self._connected()
        except asyncio.CancelledError:
            self._next_turn()  # ours may have come in the same moment
            raise
        finally:
            with suppress(ValueError):
                self._line.remove(turn)

    def _next_turn(self) -> None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _release(self, wire: _Wire) -> None:
        wire.busy -= 1
        self._next_turn()
        if wire.busy:
            return
        if wire.retired:
            wire.connection.close()
        else:
            self._rest(wire)

    def _rest(self, wire: _Wire) -> None:
        self._wake(wire)
        wire.resting = asyncio.get_running_loop().call_later(self._links.idle.total_seconds(), self._retire, wire)

    def _wake(self, wire: _Wire) -> None:
        if wire.resting:
            wire.resting.cancel()
            wire.resting = None

    def _retire(self, wire: _Wire) -> None:
        wire.retired = True
        if not wire.busy:
            wire.connection.close()

    async def _connected(self) -> None:
        if self._connecting is None:
            wait_s = self._not_before - self._links.clock.monotonic()
            if self._fault and wait_s > 0:
                raise self._again(self._fault, timedelta(seconds=wait_s))
            self._connecting = asyncio.create_task(self._try_to_connect())
        # Shielded: who gives up waiting must not take the connection from the others.
        if fault := await asyncio.shield(self._connecting):
            raise fault

    async def _try_to_connect(self) -> NodeFault | None:
        # The task itself keeps what came of it: who finds it ended finds the connection too. Were that left to a callback,
        # who looks in between would look again and again without ever letting the loop come to the callback.
        try:
            wire = await self._connect()
        except NodeFault as fault:
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10)) * self._links.rng.uniform(0.5, 1.0)
            fault.after = timedelta(seconds=pause_s)
            self._fault, self._failures = fault, self._failures + 1
            self._not_before = self._links.clock.monotonic() + pause_s
            return fault
        else:
            self._wires.append(wire)
            self._rest(wire)
            self._fault, self._failures = None, 0
            return None
        finally:
            self._connecting = None
            while self._line:
                self._next_turn()

    def _again(self, fault: NodeFault, after: timedelta) -> NodeFault:
        why = f"{fault.why} (not tried again yet; next attempt in {after.total_seconds():.1f} s)"
        return Unreachable(why, after=after) if isinstance(fault, Unreachable) else NodeFault(why, finding=fault.finding, after=after)

    async def _connect(self) -> _Wire:
        at = self._address
        pinned = self._pinned()
        pin = _Pin()
        try:
            async with self._links.connects:
                connection = await asyncssh.connect(
                    at.host,
                    at.port,
                    username=at.user,
                    client_factory=lambda: pin,
                    known_hosts=(pinned, [], []),  # never None: that would switch the check off
                    client_keys=[self._links.key],
                    preferred_auth=["publickey"],
                    config=None,  # nothing of the management host's own ssh set-up
                    agent_path=None,
                    encryption_algs="^aes128-gcm@openssh.com",  # a sixth of the load of ChaCha20; before OpenSSH 6.2, another
                    gss_host=None,
                    connect_timeout=CONNECT_S,
                    login_timeout=LOGIN_S,
                    keepalive_interval=KEEPALIVE_S,
                    keepalive_count_max=KEEPALIVES,
                )
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            raise self._other_key(pinned, pin.came, error) from error
        except asyncssh.PermissionDenied as error:
            raise NodeFault(
                f"{at.name} does not let us in as {at.user}; add this line to ~{at.user}/.ssh/authorized_keys there"
                f" (OpenSSH before 6.5 knows no ssh-ed25519): {self._links.public_key}",
                finding="auth",
            ) from error
        except (OSError, TimeoutError, asyncssh.Error) as error:
            why = str(error) or f"no answer within {CONNECT_S:.0f} s"
            raise Unreachable(f"{at.name} does not answer at {at.host} port {at.port}: {why}; see whether it is up and its sshd runs") from error
        return _Wire(connection)

    def _pinned(self) -> list[asyncssh.SSHKey]:
        at = self._address
        try:
            keys = [asyncssh.import_public_key(line) for line in at.host_key.splitlines() if line.strip()]
        except asyncssh.KeyImportError as error:
            raise NodeFault(f"the host key pinned for {at.name} cannot be read ({error}); enrol the node again", finding="host-key") from error
        if not keys:
            raise NodeFault(f"no host key is pinned for {at.name}; enrol the node, nothing is sent to it before", finding="host-key")
        return keys

    def _other_key(self, pinned: list[asyncssh.SSHKey], came: asyncssh.SSHKey | None, error: Exception) -> NodeFault:
        at = self._address
        expected = " or ".join(host_key(key).fingerprint for key in pinned)
        shown = host_key(came).fingerprint if came else f"none of that kind ({error})"
        return NodeFault(
            f"{at.name} ({at.host} port {at.port}) showed host key {shown} where {expected} is pinned: another machine answers, or it was"
            " reinstalled; nothing was sent. Compare with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on its own console, then enrol it again",
            finding="host-key",
        )
