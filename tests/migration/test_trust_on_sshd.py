"""The key of a move opens the target's real sshd for what vzmigrate does there, from the source's address, and for nothing else."""

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from tests.migration.test_vzq_mv import MOVE, mv
from tests.openvz.bench import JOB, Bench, make_bench
from workers.openvz.vzmigrate import Vzmigrate, Way
from workers.transport.ssh import NodeAddress

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
SFTP = next(
    (path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server") if Path(path).exists()), ""
)


@dataclass
class Pair:
    """A source with the move's key, and a target with an sshd."""

    source: Bench
    target: Bench
    port: int
    host_key: str

    def trust(self, *, address: str = "127.0.0.1", layout: str = "simfs") -> None:
        """As the move's first two steps do it."""
        self.source.make_whole(101)
        self.source.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\nONBOOT="no"\n')
        mv(self.source, "ready", "101", MOVE, JOB, *self.host_key.split()[:2])
        algorithm, key = (self.folder / "key.pub").read_text().split()[:2]
        mv(self.target, "authorize", "101", MOVE, address, layout, algorithm, key)

    @property
    def folder(self) -> Path:
        return self.source.root / "var/lib/vzq/move" / MOVE

    def options(self) -> list[str]:
        """Those that vzmigrate is given for ssh."""
        target = NodeAddress("n2", "127.0.0.1", self.port, "root", self.host_key)
        argv = Vzmigrate(Way(101, MOVE, JOB, target)).migrate(online=True, folder=str(self.folder), judged="move").argv
        return next(word for word in argv if word.startswith("--ssh=")).removeprefix("--ssh=").split()

    def ssh(self, *words: str, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", *self.options(), *before, f"{getpass.getuser()}@127.0.0.1", *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    if not SSHD or not SFTP:
        pytest.skip("sshd is not on this machine: the trust of a move is NOT tested against OpenSSH")
    source, target = make_bench(tmp_path / "n1", "dash"), make_bench(tmp_path / "n2", "dash")
    host = asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(tmp_path / "host_key")
    (tmp_path / "host_key").chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)
    settings = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {tmp_path}/host_key", "StrictModes no", "PidFile none", f"Subsystem sftp {SFTP}",
        f"AuthorizedKeysFile {target.root}/root/.ssh/authorized_keys", "PermitRootLogin yes", f"SetEnv HOME={tmp_path}",
    ]  # fmt: skip
    log = (tmp_path / "sshd.log").open("wb")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", "/dev/null", *(word for one in settings for word in ("-o", one))], stderr=log)
    while b"Server listening" not in (tmp_path / "sshd.log").read_bytes() and process.poll() is None:
        time.sleep(0.02)
    if process.poll() is not None:
        pytest.skip(f"sshd does not start here, the trust of a move is NOT tested against OpenSSH: {(tmp_path / 'sshd.log').read_text().strip()}")
    yield Pair(source, target, port, host.export_public_key().decode().strip())
    process.terminate()
    process.wait()
    log.close()


def test_commands_copies_and_a_shared_connection_are_let_in(pair: Pair, tmp_path: Path) -> None:
    pair.trust()
    assert pair.ssh("echo", "in").stdout == "in\n"
    (tmp_path / "dump").write_bytes(b"\0dump" * 1000)
    scp = " ".join(pair.options()).replace("-p", "-P", 1).split()  # as vzmigrate makes it
    copy = ["scp", "-F", "none", "-o", "BatchMode=yes", *scp, str(tmp_path / "dump"), f"{getpass.getuser()}@127.0.0.1:{tmp_path}/arrived"]
    done = subprocess.run(copy, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "arrived").read_bytes() == (tmp_path / "dump").read_bytes()
    shared = ("-o", f"ControlPath={tmp_path}/mux")
    with subprocess.Popen(["ssh", "-F", "none", *pair.options(), *shared, "-M", "127.0.0.1", "sleep 60"], stdin=subprocess.DEVNULL) as master:
        while not (tmp_path / "mux").exists():
            assert master.poll() is None
            time.sleep(0.02)
        pair.target.run("revoke", MOVE, program=Path(__file__).parents[2] / "workers/node/vzq-mv")
        assert pair.ssh("echo", "shared", before=shared).stdout == "shared\n"  # no new login: the key is not let in any more
        assert pair.ssh("true").returncode == 255
        master.terminate()


@pytest.mark.parametrize(("layout", "through"), [("simfs", ""), ("ploop", "hello")])
def test_a_port_is_forwarded_for_ploop_alone_and_a_terminal_is_given_to_nobody(pair: Pair, layout: str, through: str) -> None:
    pair.trust(layout=layout)
    assert "PTY allocation request failed" in pair.ssh("true", before=("-tt",)).stderr
    with socket.create_server(("127.0.0.1", 0)) as there:
        threading.Thread(target=_greet, args=(there,), daemon=True).start()
        answer = pair.ssh(before=("-W", f"127.0.0.1:{there.getsockname()[1]}"))
    assert (answer.stdout, "prohibited" in answer.stderr) == (through, not through)


def _greet(there: socket.socket) -> None:
    with suppress(OSError), there.accept()[0] as visitor:  # closed before anybody came
        visitor.sendall(b"hello")


def test_from_another_address_the_key_opens_nothing(pair: Pair) -> None:
    pair.trust(address="192.0.2.7")
    assert pair.ssh("true").returncode == 255


def test_a_target_that_shows_another_host_key_is_told_nothing(pair: Pair) -> None:
    pair.trust()
    (pair.folder / "known_hosts").write_text(f"vzq-{MOVE} {asyncssh.generate_private_key('ssh-ed25519').export_public_key().decode()}")
    refused = pair.ssh("true")
    assert refused.returncode == 255
    assert "verification failed" in refused.stderr
