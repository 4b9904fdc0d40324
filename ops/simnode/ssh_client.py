"""The ssh client of a simulated node: real connections to another node's sshd, trusted no further than its files allow."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from ops.simnode.ssh_options import BadOption, SshOptions

if TYPE_CHECKING:
    from ops.simnode.node import Node

FAILED = 255  # of ssh itself


@dataclass(frozen=True)
class Said:
    """How a remote command ended; 255 also when there was no connection."""

    code: int
    out: str = ""
    err: str = ""


class Peer:
    """Another node as this one's tools reach it: a connection for each command, or one for all (`mux`)."""

    def __init__(self, node: "Node", host: str, options: str, *, mux: bool) -> None:
        self.node = node
        self.host = host
        self.options = options
        self.mux = mux
        self._master: asyncssh.SSHClientConnection | None = None

    async def run(self, command: str, *, given: bytes = b"") -> Said:
        """A command there; what it is given is its whole input."""
        try:
            connection = await self.connect()
        except (asyncssh.Error, OSError, BadOption, ValueError) as error:
            return Said(FAILED, err=f"ssh: connect to host {self.host}: {error}\n")
        try:
            process = await connection.create_process(command, input=given, encoding=None)
            done = await process.wait()
        except (asyncssh.ChannelOpenError, ConnectionError) as error:
            if connection is not self._master:
                return Said(FAILED, err=f"ssh: {self.host}: {error}\n")
            self._master = None  # the shared connection has died: ssh opens another one
            return await self.run(command, given=given)
        except (asyncssh.Error, OSError) as error:
            return Said(FAILED, err=f"ssh: {self.host}: {error}\n")
        finally:
            await self.leave(connection)
        code = FAILED if done.exit_status is None else done.exit_status
        return Said(code if code >= 0 else FAILED, text(done.stdout), text(done.stderr))

    async def connect(self) -> asyncssh.SSHClientConnection:
        """The shared connection, or a new one, which takes its time; raises what asyncssh raises."""
        if self._master and not self._master.is_closed():
            await self.node.latency.of("ssh-channel")
            return self._master
        began = time.monotonic()
        connection = await opened(self.node, self.host, self.options)
        if self.mux:
            self._master = connection
        await self.node.latency.rest_of("ssh-connect", began)
        return connection

    async def leave(self, connection: asyncssh.SSHClientConnection) -> None:
        """Done with it; a shared one stays open until `close`."""
        if connection is not self._master:
            connection.close()

    def close(self) -> None:
        if self._master:
            self._master.close()
            self._master = None


async def opened(node: "Node", host: str, options: str) -> asyncssh.SSHClientConnection:
    """One connection with BatchMode and keys only; raises asyncssh.Error, OSError, BadOption."""
    asked = SshOptions(options, host=host, sandbox=node.sandbox)
    name, port = asked.address
    if not asked.yes("pubkeyauthentication", default=True):
        raise BadOption("Permission denied (publickey).")
    if not on_loopback(name):  # a simulated node sends nothing beyond this machine
        raise OSError("No route to host" if name.replace(".", "").isdigit() else f"Could not resolve hostname {name}: Name or service not known")
    alias = asked.one("hostkeyalias", "") or None
    strict = asked.one("stricthostkeychecking", "ask").lower()
    known = known_hosts(asked)
    is_new = not any(known.match(alias, "", None) if alias else known.match(name, name, port))
    trusts_new = is_new and strict in ("no", "off", "accept-new")
    connection = await asyncssh.connect(
        name,
        port,
        username=asked.one("user", "root"),
        client_keys=list(usable(asked.identities)),
        known_hosts=None if strict in ("no", "off") or trusts_new else known,
        host_key_alias=alias,
        preferred_auth="publickey",
        config=None,
        agent_path=None,
        gss_host=None,
        kex_algs=["curve25519-sha256"],
        compression_algs=["none"],
        connect_timeout=asked.seconds("connecttimeout"),
        login_timeout=asked.seconds("connecttimeout") or 120,
        keepalive_interval=asked.seconds("serveraliveinterval") or 0,
        keepalive_count_max=int(asked.seconds("serveralivecountmax") or 3),
    )
    if trusts_new:
        learn(asked, alias or (f"[{name}]:{port}" if port != asyncssh.DEFAULT_PORT else name), connection)
    return connection


def on_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def known_hosts(asked: SshOptions) -> asyncssh.SSHKnownHosts:
    """All lines of the user's and the node's files that can be read."""
    files = asked.files("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
    files += asked.files("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")
    lines = [line for path in files if path.is_file() for line in path.read_text().splitlines() if line.strip()]
    return asyncssh.import_known_hosts("".join(f"{line}\n" for line in lines))


def learn(asked: SshOptions, name: str, connection: asyncssh.SSHClientConnection) -> None:
    """Write a new host's key down, as ssh does when it was told to take it."""
    key = connection.get_server_host_key()
    file = asked.files("userknownhostsfile", "~/.ssh/known_hosts")[:1]
    if key and file and not str(file[0]).startswith("/dev/"):
        file[0].parent.mkdir(mode=0o700, exist_ok=True)
        with file[0].open("a") as known:
            known.write(f"{name} {key.export_public_key().decode()}")


def usable(paths: list[Path]) -> list[asyncssh.SSHKey]:
    """Keys that ssh would use: there, without a passphrase, and readable by nobody else."""
    keys = []
    for path in paths:
        if path.is_file() and not path.stat().st_mode & 0o077:
            with contextlib.suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError):
                keys.append(asyncssh.read_private_key(path))
    return keys


def text(raw: bytes | str | None) -> str:
    return raw.decode(errors="surrogateescape") if isinstance(raw, bytes) else raw or ""


async def finished(process: "asyncssh.SSHClientProcess[bytes]") -> Said:
    """Wait for a command that was started with its input open."""
    try:
        done = await process.wait()
    except (asyncssh.Error, OSError, asyncio.IncompleteReadError) as error:
        return Said(FAILED, err=f"ssh: {error}\n")
    code = FAILED if done.exit_status is None or done.exit_status < 0 else done.exit_status
    return Said(code, text(done.stdout), text(done.stderr))
