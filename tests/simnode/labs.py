"""Simulated nodes inside the test's own loop, and a connection to speak to them as an SSH client does."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh

from ops.simnode.control import carry_out
from ops.simnode.lab import Lab, LabSettings
from ops.simnode.node import Node

KEY = asyncssh.generate_private_key("ssh-ed25519")


@dataclass(frozen=True)
class Answer:
    code: int | None
    out: str
    err: str


class Remote:
    """One SSH connection to one node."""

    def __init__(self, lab: Lab, name: str, connection: asyncssh.SSHClientConnection) -> None:
        self.lab = lab
        self.name = name
        self.connection = connection

    @property
    def node(self) -> Node:
        return self.lab.machines[self.name].node

    @property
    def root(self) -> Path:
        return self.node.sandbox.root

    async def run(self, command: str, *, stdin: bytes = b"") -> Answer:
        done = await self.connection.run(command, input=stdin, encoding=None)
        return Answer(done.exit_status, bytes(done.stdout or b"").decode(errors="replace"), bytes(done.stderr or b"").decode(errors="replace"))

    async def ok(self, command: str, *, stdin: bytes = b"") -> str:
        """Run what must succeed; its stdout."""
        answer = await self.run(command, stdin=stdin)
        assert answer.code == 0, f"{command}: {answer}"
        return answer.out

    async def run_and_vanish(self, command: str, after_s: float, *, lines: int = 0) -> Answer:
        """Start it, then lose the link after a while, and not before so many lines came: what had come, and no exit code."""
        async with await connect(self.lab, self.name) as connection:
            process = await connection.create_process(command, encoding=None, stdin=asyncssh.DEVNULL)
            got: dict[str, bytes] = {"out": b"", "err": b""}

            async def collect(name: str, reader: asyncssh.SSHReader[bytes]) -> None:
                while piece := await reader.read(65536):
                    got[name] += piece

            readers = [asyncio.create_task(collect("out", process.stdout)), asyncio.create_task(collect("err", process.stderr))]
            await asyncio.sleep(after_s)
            async with asyncio.timeout(20):
                while got["out"].count(b"\n") + got["err"].count(b"\n") < lines:
                    await asyncio.sleep(0.005)
            connection.abort()
            await asyncio.gather(*readers, return_exceptions=True)
        return Answer(None, got["out"].decode(), got["err"].decode())

    async def ctl(self, operation: str, **details: object) -> object:
        return await carry_out(self.lab, {"node": self.name, "op": operation, **details})


async def connect(lab: Lab, name: str) -> asyncssh.SSHClientConnection:
    server = lab.machines[name].server
    return await asyncssh.connect(
        server.host,
        server.port,
        username="root",
        client_keys=[KEY],
        known_hosts=([server.key.convert_to_public()], [], []),
        config=None,
        agent_path=None,
    )


@asynccontextmanager
async def lab_in(folder: Path, **settings: object) -> AsyncIterator[Lab]:
    """A lab in this loop, switched off in order at the end."""
    wanted = replace(LabSettings(state=folder, any_key=True, speed=0.02), **settings)  # type: ignore[arg-type]
    lab = Lab(wanted)
    await lab.open()
    try:
        yield lab
    finally:
        await lab.close()


@asynccontextmanager
async def node_in(folder: Path, **settings: object) -> AsyncIterator[Remote]:
    """One node and a connection to it."""
    async with lab_in(folder, **settings) as lab:
        name = next(iter(lab.machines))
        async with await connect(lab, name) as connection:
            yield Remote(lab, name, connection)


def bash(command: str) -> str:
    """The command for bash, as the recordings were made."""
    return shlex.join(["bash", "-c", command])
