"""The same over OpenSSH's own sshd: the server in our process might share our misunderstandings."""

import asyncio
import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest

from models.clock import SystemClock
from models.errors import Unsure
from tests.node.box import processes_of
from tests.transport.conftest import public
from tests.transport.test_links import seen
from workers.commands import Command
from workers.node.install import install
from workers.node.runner import Direction, Runner, StepKey
from workers.transport.links import Links, NodeLink
from workers.transport.ssh import NodeAddress, scan_host_key

SOON = timedelta(seconds=20)
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@dataclass
class Sshd:
    root: Path
    link: NodeLink
    process: "subprocess.Popen[bytes]"

    def kill_sessions(self) -> None:
        """Kill -9 what serves our connections; the listener stays."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, check=False).stdout.split()
        for pid in children:
            grandchildren = subprocess.run(["ps", "-o", "pid=", "--ppid", pid], capture_output=True, check=False).stdout.split()
            for one in (*grandchildren, pid):
                if b"sshd" in Path(f"/proc/{int(one)}/cmdline").read_bytes():
                    os.kill(int(one), signal.SIGKILL)


@pytest.fixture
async def sshd(tmp_path: Path, key_file: Path, client_key: asyncssh.SSHKey) -> AsyncIterator[Sshd]:
    if not SSHD:
        pytest.skip("sshd is not on this machine: the transport is NOT tested against OpenSSH")
    root = tmp_path / "root"
    root.mkdir()
    host = asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(tmp_path / "host_key")
    (tmp_path / "host_key").chmod(0o600)
    (tmp_path / "authorized_keys").write_text(public(client_key) + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)
    log = (tmp_path / "sshd.log").open("wb")
    process = subprocess.Popen(
        [
            *(SSHD, "-D", "-e", "-f", "/dev/null"),
            *("-o", f"Port {port}", "-o", "ListenAddress 127.0.0.1", "-o", f"HostKey {tmp_path}/host_key", "-o", "StrictModes no"),
            *("-o", f"AuthorizedKeysFile {tmp_path}/authorized_keys", "-o", "PidFile none"),
            # A home of its own: bash reads ~/.bashrc for each command, and this machine's may be slow or wait for a lock.
            *("-o", f"SetEnv VZQ_NODE_ROOT={root} HOME={root}"),
            *("-o", "PermitRootLogin yes", "-o", "PubkeyAuthentication yes"),
        ],
        stderr=log,
    )
    await seen(lambda: b"Server listening" in (tmp_path / "sshd.log").read_bytes() or process.poll() is not None)
    if process.poll() is not None:
        pytest.skip(f"sshd does not start here, NOT tested against OpenSSH: {(tmp_path / 'sshd.log').read_text().strip()}")
    shown = await scan_host_key("127.0.0.1", port, timeout=SOON)
    assert shown.line == public(host)
    links = Links(client_key=key_file, clock=SystemClock(), rng=random.Random(1))
    link = links.to(NodeAddress("n1", "127.0.0.1", port, getpass.getuser(), shown.line))
    await install(link)
    yield Sshd(root, link, process)
    await links.close()
    process.terminate()
    process.wait()
    log.close()
    for pid in processes_of(root):
        os.kill(pid, signal.SIGKILL)


async def test_a_killed_sshd_session_is_unsure_and_attach_brings_the_result(sshd: Sshd) -> None:
    runner = Runner(sshd.link, clock=SystemClock())
    key = StepKey("101", 5, "J1", "make", Direction.DO, 1)
    began = asyncio.create_task(runner.begin(key, Command("test", ["sh", "-c", "sleep 1; echo made; exit 3"], timeout=SOON)))
    await seen((sshd.root / "var/lib/vzq/runs/J1/101.make.do.1/out").exists)
    sshd.kill_sessions()
    with pytest.raises(Unsure):
        await began
    answer = await runner.attach(key, timeout=SOON)
    assert answer is not None
    assert (answer.code, answer.out) == (3, "made\n")


async def test_input_and_output_are_exact(sshd: Sshd) -> None:
    runner = Runner(sshd.link, clock=SystemClock())
    text = "".join(f"päss {n}\n" for n in range(10_000))
    key = StepKey("101", 5, "J1", "password", Direction.DO, 1)
    answer = await runner.begin(key, Command("test", ["cat"], stdin=text.encode(), timeout=SOON))
    assert answer.out == text


async def test_many_at_once_never_exceed_max_sessions(sshd: Sshd) -> None:
    answers = await asyncio.gather(*(sshd.link.run(["echo", str(n)], timeout=SOON) for n in range(24)))
    assert [answer.out for answer in answers] == [f"{n}\n" for n in range(24)]


async def test_given_up_calls_do_not_use_up_the_sessions(sshd: Sshd) -> None:
    for _ in range(2):
        calls = [asyncio.create_task(sshd.link.run(["sleep", "5"], timeout=SOON)) for _ in range(8)]
        await asyncio.sleep(0.2)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    answers = await asyncio.gather(*(sshd.link.run(["echo", "x"], timeout=SOON) for _ in range(16)))
    assert {answer.out for answer in answers} == {"x\n"}
