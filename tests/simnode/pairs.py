"""Two nodes of a lab that trust each other as the recorded ones did, and moves between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from ops.simnode.lab import Lab
from tests.simnode.contract import made
from tests.simnode.labs import Answer, Remote, connect, lab_in

ADDRESSES = {"nodeA": "10.99.0.11", "nodeB": "10.99.0.12"}  # as the recordings have them
NODE_KEY = asyncssh.generate_private_key("ssh-ed25519")


@dataclass(frozen=True)
class Pair:
    """nodeA and nodeB."""

    lab: Lab
    a: Remote
    b: Remote

    def of(self, name: str) -> Remote:
        return {"nodeA": self.a, "nodeB": self.b}[name]


def trust(source: Remote, target: Remote) -> None:
    """All that `vzmigrate ADDRESS` without options needs: a key here, a line there, the host's key and where it listens."""
    server = target.lab.machines[target.name].server
    address = ADDRESSES["nodeA" if target.name.endswith("1") else "nodeB"]
    home = source.root / "root/.ssh"
    home.mkdir(mode=0o700, exist_ok=True)
    key = home / "id_ed25519"
    key.touch(mode=0o600)
    NODE_KEY.write_private_key(key)
    with (home / "known_hosts").open("a") as known:
        known.write(f"[{server.host}]:{server.port} {server.key.export_public_key().decode()}")
    with (home / "config").open("a") as config:
        config.write(f"Host {address}\n  HostName {server.host}\n  Port {server.port}\n")
    there = target.root / "root/.ssh"
    there.mkdir(mode=0o700, exist_ok=True)
    (there / "authorized_keys").write_bytes(NODE_KEY.export_public_key())


@asynccontextmanager
async def pair_in(folder: Path, **settings: object) -> AsyncIterator[Pair]:
    """A lab of two, and a connection to each."""
    async with lab_in(folder, **{"nodes": 2, "name_prefix": "node", **settings}) as lab, AsyncExitStack() as links:
        a, b = [Remote(lab, name, await links.enter_async_context(await connect(lab, name))) for name in lab.machines]
        trust(a, b)
        trust(b, a)
        yield Pair(lab, a, b)


async def run_there(node: Remote, *, address: str = "", ctid: int = 207, name: str = "") -> None:
    """A running container."""
    await node.ok(made(ctid)[0])
    more = f" --ipadd {address}" if address else ""
    more += f" --name {name}" if name else ""
    await node.ok(f"vzctl set {ctid} --hostname ct{ctid}.lab{more} --save")
    await node.ok(f"vzctl start {ctid}")


async def counted(address: str, *, within_s: float = 0.5) -> int | None:
    """What a container answers: its counter; None when it does not."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(address, 7000)
            try:
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return int(line.split()[1]) if line else None


async def status(node: Remote, ctid: int = 207) -> str:
    return (await node.ok(f"vzctl status {ctid}")).removeprefix(f"CTID {ctid} ").strip()


async def moved(node: Remote, words: str) -> Answer:
    return await asyncio.wait_for(node.run(f"vzmigrate {words}"), 60)
