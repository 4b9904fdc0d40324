"""The SSH server of a simulated node, with the limits of a stock sshd: MaxSessions, MaxStartups, keys only."""

import asyncio
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncssh

from ops.simnode.sessions import Session

if TYPE_CHECKING:
    from ops.simnode.node import Node

MAX_SESSIONS = 10  # per connection
STARTUPS_BEGIN, STARTUPS_RATE, STARTUPS_FULL = 10, 30, 100  # MaxStartups 10:30:100


class Connection(asyncssh.SSHServer):
    """One connection: who may log in and how many sessions it may hold."""

    def __init__(self, server: "SshServer") -> None:
        self.server = server
        self.node = server.node
        self.sessions: set[Session] = set()
        self.conn: asyncssh.SSHServerConnection | None = None
        self.forced_command: str | None = None  # command="…" of the key that opened it
        self.no_terminal = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.conn = conn
        self.server.connections.add(self)
        if self.server.silent:
            hush(conn)
        if self.server.too_many_startups():
            conn.abort()
            return
        self.server.startups.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.server.startups.discard(self)
        self.server.connections.discard(self)

    def begin_auth(self, _username: str) -> bool:
        if self.conn:
            self.conn.set_authorized_keys(self.server.authorized_keys())
        return True

    def auth_completed(self) -> None:
        self.server.startups.discard(self)
        if self.conn and not self.server.any_key:
            # asyncssh would put the key's command in place of the one that was asked for, which is wanted too
            options = cast("dict[str, object]", self.conn._key_options)  # noqa: SLF001
            forced = options.pop("command", None)
            self.forced_command = forced if isinstance(forced, str) else None
            self.no_terminal = "no-pty" in options or ("restrict" in options and "pty" not in options)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, _username: str, _key: asyncssh.SSHKey) -> bool:
        return self.server.any_key  # else asyncssh looks the key up in what begin_auth has read

    async def session_requested(self) -> Session:
        if len(self.sessions) >= MAX_SESSIONS:
            for _ in range(3):  # sessions whose close came before this request, in the same packet perhaps, end first
                await asyncio.sleep(0)
        if len(self.sessions) >= MAX_SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        session = Session(self)
        self.sessions.add(session)
        return session

    def session_ended(self, session: Session) -> None:
        self.sessions.discard(session)


class SshServer:
    """Serves one node on its own port with its own lasting host key."""

    def __init__(self, node: "Node", *, host: str, port: int, keys_file: Path | None, any_key: bool, chance: random.Random) -> None:
        self.node = node
        self.host = host
        self.port = port  # 0 until it listens, if any port will do; kept over down and up
        self.keys_file = keys_file
        self.any_key = any_key
        self.chance = chance
        self.key = host_key(node.folder)
        self.connections: set[Connection] = set()
        self.startups: set[Connection] = set()  # not logged in yet
        self.silent = False
        self._acceptor: asyncssh.SSHAcceptor | None = None

    def too_many_startups(self) -> bool:
        """The random early drop of sshd: sure only below ten, surer beyond."""
        waiting = len(self.startups)
        if waiting < STARTUPS_BEGIN:
            return False
        share = (waiting - STARTUPS_BEGIN) / (STARTUPS_FULL - STARTUPS_BEGIN)
        return self.chance.uniform(0, 100) < STARTUPS_RATE + (100 - STARTUPS_RATE) * share

    def authorized_keys(self) -> asyncssh.SSHAuthorizedKeys | None:
        """Read anew at each login, like sshd: the operator's file and the node's own /root/.ssh/authorized_keys."""
        files = [self.keys_file, self.node.sandbox.home / ".ssh/authorized_keys"]
        lines = [line for path in files if path and path.exists() for line in path.read_text().splitlines() if valid(line)]
        return asyncssh.import_authorized_keys("\n".join(lines) + "\n") if lines else None

    async def open(self) -> None:
        self._acceptor = await asyncssh.create_server(
            lambda: Connection(self),
            self.host,
            self.port,
            server_host_keys=[self.key],
            encoding=None,
            line_editor=False,
            reuse_address=True,
            backlog=512,
            gss_host=None,
            allow_scp=False,
            compression_algs=["none"],
        )
        self.port = self._acceptor.get_port()

    async def close(self) -> None:
        """Refuse new connections and cut those there are."""
        if self._acceptor:
            self._acceptor.close()
            self._acceptor = None
        self.cut()
        self.silent = False
        await asyncio.sleep(0)

    def silence(self) -> None:
        """Let nothing pass on any connection, old or new, without closing one: packets vanish."""
        self.silent = True
        for connection in self.connections:
            if connection.conn:
                hush(connection.conn)

    def cut(self) -> int:
        """Drop every connection at once; the commands live on. Returns how many there were."""
        cut = list(self.connections)
        for connection in cut:
            if connection.conn:
                connection.conn.abort()
        return len(cut)


def valid(line: str) -> bool:
    """Whether sshd would look at this line of authorized_keys: readable, and not past its expiry-time."""
    try:
        entries = asyncssh.import_authorized_keys(line)._user_entries  # noqa: SLF001  only there are the options of a line
    except ValueError:
        return False
    now = time.time()
    return all(expires(str(text)) > now for entry in entries for text in cast("list[str]", entry.options.get("expiry-time", [])))


def expires(text: str) -> float:
    """expiry-time="YYYYMMDD[HHMM[SS]][Z]" as seconds since 1970; what cannot be read has expired."""
    digits = text.removesuffix("Z")
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits), "")
    try:
        at = datetime.strptime(digits, form)  # noqa: DTZ007  without Z it is the node's own time
    except ValueError:
        return 0.0
    return (at.replace(tzinfo=UTC) if text.endswith("Z") else at.astimezone()).timestamp()


def _swallow(data: bytes | bytearray | memoryview) -> None:
    """Write nothing."""


def hush(conn: asyncssh.SSHServerConnection) -> None:
    """Neither read from nor write to this connection any more. It cannot be undone: what was lost was part of the stream."""
    transport = conn._transport  # noqa: SLF001  there is no public way to stop the wire under a connection
    if transport:
        transport.pause_reading()
        transport.write = _swallow  # type: ignore[method-assign]


def host_key(folder: Path) -> asyncssh.SSHKey:
    """The node's own key, made once."""
    path = folder / "host_key"
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519", comment="simulated node")
        path.touch(mode=0o600)
        key.write_private_key(path)
    return asyncssh.read_private_key(path)
