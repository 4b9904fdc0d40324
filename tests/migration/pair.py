"""The real intake, dispatcher, claims, runs and SSH links around two simulated nodes that know no keys but ours: moves as they are.

Faults, holds and kills are the simulated nodes' own (ops/docs/simnode.md).
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh

from models.database import Database
from models.fleet import Node, NodeState
from models.jobs import Job
from models.lifecycle import State
from models.standing import Standing
from ops.simnode.control import carry_out
from ops.simnode.lab import LabSettings
from tests.verbs.house import VerbHouse
from workers.openvz import holds
from workers.openvz.driver import Sight
from workers.openvz.vzctl import Vzctl
from workers.plans.container import identity_of
from workers.plans.nodes import learn
from workers.transport.ssh import NodeAddress

N1, N2 = "n1", "n2"


class MoveHouse(VerbHouse):
    """n1 and n2; new containers come to n1."""

    url = ""  # of another database than SQLite

    def database_in(self, folder: Path, template: Path) -> Database:
        """SQLite from the template, or the one that is named, on the test's time."""
        return Database(self.url, clock=self.clock, own_clock=True) if self.url else super().database_in(folder, template)

    def lab_settings(self, folder: Path, speed: float) -> LabSettings:
        """Two nodes that let in nobody but the worker, and whomever the moves let in."""
        keys = folder / "keys"
        keys.write_bytes(asyncssh.read_private_key(folder / "ssh").export_public_key())
        return LabSettings(state=folder / "lab", nodes=2, authorized_keys=keys, speed=speed)

    async def open(self) -> None:
        await super().open()
        where = self.where(N2)
        learned = await learn(self.links.to(where), self.clock)
        with self.database.write() as session:
            session.add(
                Node(name=N2, site="main", host=where.host, port=where.port, host_key=where.host_key, state=NodeState.ACTIVE, dialect="vzctl",
                     abilities=learned["abilities"], memory_bytes=32 << 30, disk_bytes=200 << 30, slots={"exec": 16, "create": 16, "move_in": 16})
            )  # fmt: skip
            source = session.get_one(Node, N1)
            source.slots = {**source.slots, "move_out": 16}
            session.add(source)

    def where(self, name: str) -> NodeAddress:
        about = self.lab.machines[name].about()
        return NodeAddress(name, str(about["host"]), int(about["port"]), "root", str(about["host_key"]))

    async def create(self, **given: Any) -> int:
        """A running container on n1; its id."""
        return await super().create(**({"node": N1} | given))

    # -- what goes wrong --------------------------------------------------------------------------------------------

    async def at(self, where: str, operation: str, **details: object) -> Any:
        return await carry_out(self.lab, {"node": where, "op": operation, **details})

    async def hold(self, phase: str, ctid: int) -> None:
        """The next vzmigrate of this container on n1 stands still at this phase."""
        await self.at(N1, "fault", command="vzmigrate", action="hold", phase=phase, ctid=ctid)

    async def held(self, phase: str, ctid: int) -> None:
        found = await self.at(N1, "held", phase=phase, ctid=ctid, wait_s=60)
        assert found, f"vzmigrate never came to {phase}"

    def restart_worker(self) -> None:
        """As if the worker had been killed: its tasks are gone, its leases run out."""
        for task in list(self.tasks):
            task.cancel()
        self.lose_leases()

    # -- looking ----------------------------------------------------------------------------------------------------

    async def shell_at(self, name: str, *words: str) -> tuple[int, str]:
        done = await self.links.to(self.where(name)).run(list(words), timeout=timedelta(seconds=30))
        return done.code, done.out + done.err

    async def sight_at(self, name: str, ctid: int) -> Sight:
        driver = Vzctl()
        return driver.sight(await self.links.to(self.where(name)).run(driver.look(ctid).argv, timeout=timedelta(seconds=30)))

    def frozen(self, name: str, ctid: int) -> bool:
        return bool(self.lab.machines[name].node.state(ctid).frozen)

    async def lives_on(self, name: str, ctid: int) -> None:
        """It runs here, executes and answers, as its row says; and the other node has no copy that could ever start."""
        row = self.row(ctid)
        assert row is not None
        assert row.node == name
        sight, other = await self.sight_at(name, ctid), N2 if name == N1 else N1
        assert sight.whole, sight
        assert sight.marker == row.job_id
        up = row.standing is Standing.RUNNING
        assert sight.running is up
        assert not self.frozen(name, ctid)
        driver = Vzctl()
        assert driver.has_onboot(sight, onboot=up)
        assert driver.has_disabled(sight, disabled=row.standing in (Standing.SUSPENDED, Standing.TERMINATED))
        assert driver.has_identity(sight, identity_of(row))
        assert holds.lacking(sight, self.addresses(ctid)) == []
        if up:
            assert (await self.shell_at(name, "vzctl", "exec2", str(ctid), "true"))[0] == 0
            assert all([await self.answers(address) for address in self.addresses(ctid)])
        await self.nothing_on(other, ctid)

    async def nothing_on(self, name: str, ctid: int) -> None:
        sight = await self.sight_at(name, ctid)
        assert sight.nothing, sight
        root = self.lab.machines[name].node.sandbox.root
        assert not list((root / "vz/dump").glob(f"*{ctid}*"))

    def no_trust(self) -> None:
        """No key, no line and no folder of any move is left on either node."""
        for name in (N1, N2):
            root = self.lab.machines[name].node.sandbox.root
            keys = root / "root/.ssh/authorized_keys"
            assert not keys.exists() or "vzq-move" not in keys.read_text(), name
            assert [path for path in (root / "var/lib/vzq/move").glob("*") if path.is_dir()] == [], name

    async def runs_once(self, ctid: int) -> list[str]:
        """On which nodes it runs now, frozen copies aside."""
        return [name for name in (N1, N2) if (await self.sight_at(name, ctid)).running and not self.frozen(name, ctid)]

    async def survives_reboots(self, ctid: int) -> None:
        """Both nodes lose power: afterwards it runs where its row says, and nowhere else."""
        row = self.row(ctid)
        assert row is not None
        for name in (N1, N2):
            await self.at(name, "down")
            await self.at(name, "up")
        assert await self.runs_once(ctid) == ([row.node] if row.standing is Standing.RUNNING else [])

    async def story_of(self, job_id: str, state: State) -> Job:
        """The job at its end, which must be this one."""
        try:
            job = await self.ended(job_id)
        except TimeoutError:
            job = self.job(job_id)
        assert job.state == state, "\n".join([job.error, *self.story(job_id)])
        return job


@contextlib.asynccontextmanager
async def pair_in(folder: Path, template: Path, *, speed: float = 0.001, url: str = "", probes: Path | None = None) -> AsyncIterator[MoveHouse]:
    kind: type[MoveHouse] = type("MoveHouse", (MoveHouse,), {"url": url})
    house = kind(folder, template, speed=speed, probes=probes)
    try:
        await house.open()
        yield house
    finally:
        await house.close()
