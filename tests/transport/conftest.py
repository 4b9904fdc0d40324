"""A real SSH server in the test's process that runs what it is sent with /bin/sh in a folder, and can be ill in many ways."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from models.clock import SystemClock
from tests.node.box import processes_of
from workers.transport.links import Links
from workers.transport.ssh import NodeAddress

MAX_SESSIONS = 10  # sshd's default


@dataclass
class Server:
    root: Path
    key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    port: int = 0
    open_now: dict[asyncssh.SSHServerConnection, int] = field(default_factory=dict)
    most_at_once: int = 0
    logins: int = 0
    lines: list[str] = field(default_factory=list)
    deaf: bool = False  # takes commands and never answers
    children: list[asyncio.subprocess.Process] = field(default_factory=list)
    listener: asyncssh.SSHAcceptor | None = None

    @property
    def address(self) -> NodeAddress:
        return NodeAddress("n1", "127.0.0.1", self.port, "root", public(self.key))

    async def listen(self, **options: object) -> None:
        self.listener = await asyncssh.create_server(
            lambda: _Login(self),
            "127.0.0.1",
            self.port,
            server_host_keys=[self.key],
            process_factory=self.run,
            encoding=None,
            **options,
        )
        self.port = self.listener.get_port()

    async def cut(self) -> None:
        """Cut every connection; what runs goes on, as under sshd."""
        for connection in list(self.open_now):
            connection.abort()
        await asyncio.sleep(0)

    async def stop_listening(self) -> None:
        self.listener.close()
        await self.listener.wait_closed()

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        connection = process.channel.get_connection()
        self.open_now[connection] = self.open_now.get(connection, 0) + 1
        self.most_at_once = max(self.most_at_once, self.open_now[connection])
        try:
            await self._run(process)
        finally:
            self.open_now[connection] -= 1

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.lines.append(process.command)
        if self.deaf:
            await asyncio.sleep(3600)
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            process.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "VZQ_NODE_ROOT": str(self.root)},
            start_new_session=True,
        )
        self.children.append(child)
        feeding = asyncio.create_task(feed(process, child))
        await asyncio.gather(drain(child.stdout, process.stdout), drain(child.stderr, process.stderr))
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        child.stdin.close()
        code = await child.wait()
        if code < 0:
            process.exit_with_signal("KILL")
        else:
            process.exit(code)


async def feed(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    with suppress(OSError, asyncssh.Error):
        while data := await process.stdin.read(65_536):
            child.stdin.write(data)
            await child.stdin.drain()
    child.stdin.close()


async def drain(reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
    while data := await reader.read(65_536):
        with suppress(OSError, asyncssh.Error):  # the link is cut, the command goes on
            writer.write(data)
            await writer.drain()


class _Login(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.open_now[conn] = 0
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open_now.pop(self._connection, None)

    def begin_auth(self, username: str) -> bool:
        self._server.logins += 1
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key == self._server.client_key.convert_to_public()


def public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


@pytest.fixture(scope="session")
def client_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def key_file(tmp_path: Path, client_key: asyncssh.SSHKey) -> Path:
    file = tmp_path / "client_key"
    client_key.write_private_key(file)
    file.chmod(0o600)
    return file


@pytest.fixture
async def server(tmp_path: Path, client_key: asyncssh.SSHKey) -> AsyncIterator[Server]:
    root = tmp_path / "root"
    root.mkdir()
    server = Server(root, asyncssh.generate_private_key("ssh-ed25519"), client_key)
    await server.listen()
    yield server
    await server.stop_listening()
    await server.cut()
    for pid in processes_of(root):
        os.kill(pid, 9)
    for child in server.children:
        await child.wait()


@pytest.fixture
async def links(key_file: Path) -> AsyncIterator[Links]:
    links = Links(client_key=key_file, clock=SystemClock(), rng=random.Random(1))
    yield links
    await links.close()
