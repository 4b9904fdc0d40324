import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.jobs import Job
from models.orders import ExecBatch
from producers.jobs import cancel
from tests.lab.conftest import Lab


class Crowd(Lab):
    """A lab with running containers, and commands in them."""

    ctids: tuple[int, ...] = ()

    def settle(self, count: int) -> None:
        """So many containers on the first node."""
        jobs = self.ended(*(self.create(node=self.nodes[0]) for _ in range(count)))
        self.ctids = tuple(sorted(job.ctid for job in jobs if job.ctid is not None))

    def run(self, script: str, **given: object) -> str:
        fields: dict[str, object] = {"node": self.nodes[0], "ctids": self.ctids, "script": script}
        return self.place(ExecBatch.model_validate(fields | given))

    def take_back(self, job_id: str) -> None:
        with self.house.database.write() as session:
            cancel(self.house.database, session, session.get_one(Job, job_id), by="test", because="")
        self.house.bell.wake()

    @staticmethod
    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def commands_inside(self, ctid: int) -> set[bytes]:
        """The command lines that run in this container."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile, or it is another user's
                if (process / "cwd").samefile(self.inside(ctid)):
                    found.add((process / "cmdline").read_bytes())
        return found

    def inside(self, ctid: int) -> Path:
        """The container's root, as the simulator keeps it."""
        return next((self.folder / "lab").glob(f"{self.nodes[0]}/**/private/{ctid}"))


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with tempfile.TemporaryDirectory(prefix="vzq-", dir="/tmp") as folder:
        lab = Crowd(Path(folder), nodes=1)
        try:
            lab.settle(4)
            yield lab
        finally:
            lab.close()
