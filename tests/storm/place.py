"""The house that stands in the storm: two services, four workers, three nodes behind a network that can be cut."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import asyncssh
import psycopg

from models.lifecycle import State
from producers.embedded import lab
from tests import servers
from tests.stories.place import Place
from tests.storm.wires import Network

WORKERS, SERVICES = 4, 2
DISK_MIB = 64
SKEWED = "worker-4"  # on PostgreSQL its host's clock is wrong by minutes


class StormPlace(Place):
    """As the stories' place, with more of everything."""

    def __init__(self, folder: Path, database_url: str, *, disk: Path | None, server: Path) -> None:
        super().__init__(folder, database_url)
        self.server = server  # PostgreSQL's own folder
        self.disk = disk  # the small file system that the SQLite database lies on
        self.network = Network()
        self.on_sqlite = database_url.startswith("sqlite")
        self.kept = False  # its folders stay behind, for whoever looks into what was found

    def open(self) -> None:
        folder, settings = self.folder, self.house.settings
        self.house.database.upgrade()
        keys = f"{settings.ssh_key_file}.pub"
        self.start("nodes", "ops.simnode", "--state", str(folder / "lab"), "--nodes", "3", "--speed", "0.1", "--authorized-keys", keys)
        for name in self.kept_running:
            self.begin(name)
        self.until((folder / "lab" / "nodes.json").exists, "the nodes to come up")
        lab.furnish(self.house)
        self.nodes = lab.nodes_of(folder / "lab")
        reached = [replace(node, port=self.network.lay(node.name, node.port)) for node in self.nodes]
        jobs = self.ended(*lab.enrol(self.house, reached))
        if {job.state for job in jobs} != {State.DONE}:
            raise RuntimeError(f"the nodes could not be enrolled: {[job.error for job in jobs]}")

    @property
    def kept_running(self) -> list[str]:
        """What a supervisor would start again."""
        return [*(f"service-{number + 1}" for number in range(SERVICES)), *(f"worker-{number + 1}" for number in range(WORKERS))]

    def begin(self, name: str) -> None:
        """Start a process of the house by its name."""
        self.start(name, "tests.storm.skewed" if name == SKEWED and not self.on_sqlite else "")

    def supervise(self) -> None:
        """Start again what is gone, as systemd would."""
        for name in self.kept_running:
            if self.processes[name].poll() is not None:
                self.begin(name)

    def solos(self) -> list[int]:
        """Process ids of the workers that run one job alone."""
        mine = {process.pid for process in self.processes.values()}
        return [pid for pid, parent, words, _ in _processes() if parent in mine and "--solo" in words]

    def runners(self) -> list[int]:
        """Process ids of the shells that run vzq-run, its keepers among them, on our nodes."""
        return [pid for pid, _, words, around in _processes() if "vzq-run" in words and str(self.folder) in around]

    # -- servers ------------------------------------------------------------------------------------------------

    def redis_comes_back(self, *, empty: bool) -> None:
        self.kill("redis")
        if empty:
            shutil.rmtree(self.folder / "redis", ignore_errors=True)
        self.processes["redis"], _ = servers.start_redis(self.folder)

    def postgres_restarts(self, *, how: signal.Signals) -> None:
        """Stopped in order (INT) or killed with all its sessions (QUIT); it comes back with all that was committed."""
        old = self.processes["postgres"]
        old.send_signal(how)
        old.wait(30)
        self.processes["postgres"] = start_postgres(list(old.args), self.server)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """No block is free where the SQLite database lies; without a file system of its own, no file may grow (RLIMIT_FSIZE)."""
        if self.disk is not None:
            filler = self.disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()
            try:
                yield
            finally:
                filler.unlink()
            return
        pids = [self.processes[name].pid for name in self.kept_running]
        for pid in pids:
            _limit_files(pid, 4096)
        try:
            yield
        finally:
            for pid in pids:
                _limit_files(pid, resource.RLIM_INFINITY)

    def close(self) -> None:
        super().close()
        self.network.close()

    def on_node(self, node: lab.LabNode) -> "OnNode":
        """A connection of ours to the node itself, past the network that is cut."""
        return OnNode(node, self.house.settings.ssh_key_file)


class OnNode:
    """What an administrator who logs in sees."""

    def __init__(self, node: lab.LabNode, key: Path) -> None:
        self._node, self._key = node, key

    async def __aenter__(self) -> Self:
        node = self._node
        known = ([asyncssh.import_public_key(node.host_key)], [], [])
        self._connection = await asyncssh.connect(
            node.host, node.port, username="root", client_keys=[str(self._key)], known_hosts=known, config=None, agent_path=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connection.close()
        await self._connection.wait_closed()

    async def says(self, command: str) -> str:
        """The command's stdout; raises when it did not end well."""
        done = await self._connection.run(command, check=True)
        if done.exit_status != 0:
            raise RuntimeError(f"{command}: {done.exit_status}")
        return str(done.stdout)


def start_postgres(argv: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    """The cluster of this folder once more; returns when it takes connections."""
    user = servers.NOBODY if os.geteuid() == 0 else None
    until, process = time.monotonic() + 60, None
    while time.monotonic() < until:
        if process is None or process.poll() is not None:  # children of the one before that was killed may still be there
            with (folder / "postgres.log").open("ab") as log:
                process = subprocess.Popen(argv, stdout=log, stderr=log, user=user, cwd=folder)
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
            return process
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not come back:\n{(folder / 'postgres.log').read_text()[-2000:]}")


@contextlib.contextmanager
def place_for(database: str) -> Iterator[StormPlace]:
    """A place on this sort of database, ended with all its processes."""
    folder, server = (Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp")) for prefix in ("vzqw-", "vzqp-"))
    server.chmod(0o711)  # PostgreSQL runs as nobody where we are root
    disk: Path | None = None
    postgres: subprocess.Popen[bytes] | None = None
    place: StormPlace | None = None
    try:
        if database == "postgresql":
            first, url = servers.start_postgres(server)
            first.send_signal(signal.SIGINT)
            first.wait(30)
            # What was committed must be there after a crash of the server, so nothing of it may wait in the server's own memory.
            postgres = start_postgres([*(str(word) for word in first.args), "-c", "synchronous_commit=on", "-c", "full_page_writes=on"], server)  # type: ignore[union-attr]
        else:
            disk = _small_disk(folder / "disk")
            url = f"sqlite:///{(disk or folder) / 'vzq.sqlite'}"
        place = StormPlace(folder, url, disk=disk, server=server)
        if postgres is not None:
            place.processes["postgres"] = postgres
        place.open()
        yield place
    finally:
        if place is not None:
            place.close()
        elif postgres is not None:
            servers.stop(postgres)
        if disk is not None:
            if place is not None and place.kept:
                shutil.copytree(disk, folder / "disk-kept", dirs_exist_ok=True)
            subprocess.run(["umount", disk], check=False)
        if place is None or not place.kept:
            for made in (folder, server):
                shutil.rmtree(made, ignore_errors=True)


def _small_disk(folder: Path) -> Path | None:
    """A file system that can be filled; None where we may not mount one."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "vzq-storm", folder], check=False, capture_output=True)
    return folder if mounted.returncode == 0 else None


def _limit_files(pid: int, size: int) -> None:
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))


def _processes() -> Iterator[tuple[int, int, str, str]]:
    """Number, parent, command line and environment of each process that we may ask."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words, around = ((entry / name).read_bytes().replace(b"\0", b" ").decode(errors="replace") for name in ("cmdline", "environ"))
                yield int(entry.name), parent, words, around
