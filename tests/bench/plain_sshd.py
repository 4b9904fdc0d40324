"""Plain SSH servers that give each command to /bin/sh: no simulator, the same for every contender. `python -m tests.bench.plain_sshd FOLDER N`.

FOLDER holds the client's public key, `client.pub`; `servers.json` with ports and host keys is there when all listen.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncssh


async def serve(folder: Path, number: int) -> None:
    """Listen until killed; each server has a folder of its own as the node's root."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    told = []
    for at in range(number):
        root = folder / f"root{at}"
        root.mkdir()
        acceptor = await asyncssh.create_server(
            asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[key], authorized_client_keys=str(folder / "client.pub"),
            process_factory=_shell(root), encoding=None, gss_host=None,
        )  # fmt: skip
        told.append({"port": acceptor.get_port(), "host_key": key.export_public_key().decode().strip()})
    (folder / "servers.tmp").write_text(json.dumps(told))
    (folder / "servers.tmp").rename(folder / "servers.json")
    await asyncio.Event().wait()


def _shell(root: Path):
    environment = {"PATH": os.environ["PATH"], "VZQ_NODE_ROOT": str(root)}

    async def run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", process.command or "", stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        )
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        code = await child.wait()
        await process.stdout.drain()
        process.exit(max(code, 0))

    return run


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
