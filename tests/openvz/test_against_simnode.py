"""The driver against a simulated node: its words are taken, its readings are right, its clearing leaves nothing."""

import asyncio
import os
import random
import shutil
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("ops.simnode.node")

from models.errors import AlreadyDone, JobError, Locked, Permanent, Retryable, Taken
from ops.simnode.node import Node
from ops.simnode.node_state import Flavour
from tests.openvz.bench import JOB, OTHER, VZQ_CT
from workers.commands import Command, Finished
from workers.openvz.driver import Identity, Limits, Sight
from workers.openvz.vzctl import Vzctl

MIB, GIB = 1 << 20, 1 << 30
LIMITS = Limits(ram_bytes=384 * MIB, swap_bytes=128 * MIB, disk_bytes=3 * GIB, inodes=150000, cpus=2, cpuunits=700)
NAMES = Identity("c1.example", name="c1", description="made for 4711", nameservers=("10.0.0.53",), searchdomain="example")
TEMPLATE = "debian-12-x86_64-minbase"


class Lab:
    """A node and a driver that runs its words there."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.driver = Vzctl()
        home = node.sandbox.root / "var/lib/vzq/bin"
        home.mkdir(parents=True)
        shutil.copy(VZQ_CT, home / "vzq-ct")
        self.environment = dict(node.environment)
        self.environment["PATH"] += f":{home}"

    async def start(self, command: Command) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command.argv, env=self.environment, start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe)

    async def ask(self, command: Command) -> Finished:
        process = await self.start(command)
        out, err = await process.communicate(command.stdin)
        return Finished(process.returncode or 0, out.decode(), err.decode())

    async def do(self, command: Command) -> None:
        self.driver.judge(command, await self.ask(command))

    async def look(self, ctid: int = 101) -> Sight:
        return self.driver.sight(await self.ask(self.driver.look(ctid)))

    async def make(self) -> None:
        await self.do(self.driver.plant(101, JOB, sample="vswap-256m", layout="simfs"))
        await self.do(self.driver.create(101, template=TEMPLATE, layout="simfs", limits=LIMITS))


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    node = Node(tmp_path / "n1", name="n1", socket_name=f"vzq-{uuid.uuid4()}", flavour=Flavour(), speed=0.1, chance=random.Random(1))
    await node.open()
    yield Lab(node)
    await node.close()


async def error_of(lab: Lab, command: Command) -> type[JobError] | None:
    try:
        await lab.do(command)
    except JobError as error:
        return type(error)
    return None


async def test_a_container_is_made_set_up_started_and_taken_away(lab: Lab) -> None:
    driver = lab.driver
    assert (await lab.look()).nothing
    await lab.make()
    sight = await lab.look()
    assert sight.whole
    assert (sight.marker, sight.layout, sight.template) == (JOB, "simfs", TEMPLATE)

    await lab.do(driver.set_limits(101, LIMITS))
    await lab.do(driver.set_identity(101, NAMES))
    await lab.do(driver.add_addresses(101, ["127.99.0.1", "127.99.0.2"]))
    await lab.do(driver.set_onboot(101, onboot=True))
    sight = await lab.look()
    assert driver.has_limits(sight, LIMITS)
    assert driver.has_identity(sight, NAMES)
    assert driver.has_addresses(sight, ["127.99.0.2"])
    assert driver.has_onboot(sight, onboot=True)
    assert sight.marker == JOB

    await lab.do(driver.start(101))
    await lab.do(driver.exec_true(101))
    await lab.do(driver.set_password(101, "root", "S3cret-'$(id)"))
    assert (await lab.look()).running
    assert await error_of(lab, driver.start(101)) is AlreadyDone
    assert [one.ctid for one in driver.listed(await lab.ask(driver.listing()))] == [101]

    await lab.do(driver.remove_addresses(101, ["127.99.0.2"]))
    assert (await lab.look()).addresses == ("127.99.0.1",)
    assert await error_of(lab, driver.destroy(101)) is Retryable
    await lab.do(driver.stop(101))
    await lab.do(driver.stop(101, fast=True))
    assert await error_of(lab, driver.exec_true(101)) is Retryable
    await lab.do(driver.destroy(101))
    assert await error_of(lab, driver.destroy(101)) is AlreadyDone
    await lab.do(driver.clean(101, JOB))
    await lab.do(driver.unplant(101, JOB))
    assert (await lab.look()).nothing


async def test_a_listing_of_nothing_is_empty(lab: Lab) -> None:
    assert lab.driver.listed(await lab.ask(lab.driver.listing())) == []


async def test_a_killed_create_can_be_cleared_and_done_again(lab: Lab) -> None:
    await lab.do(lab.driver.plant(101, JOB, sample="vswap-256m", layout="simfs"))
    process = await lab.start(lab.driver.create(101, template=TEMPLATE, layout="simfs", limits=LIMITS))
    while not ((sight := await lab.look()).half_made and sight.exists):  # a look is not one moment
        await asyncio.sleep(0.01)
    assert not sight.whole
    assert sight.locked_by is not None
    assert await error_of(lab, lab.driver.clean(101, JOB)) is Locked
    os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()
    sight = await lab.look()
    assert (sight.half_made, sight.private, sight.stale_lock, sight.whole) == (True, "empty", True, False)
    assert await error_of(lab, lab.driver.clean(101, OTHER)) is Taken
    await lab.do(lab.driver.clean(101, JOB))
    await lab.do(lab.driver.create(101, template=TEMPLATE, layout="simfs", limits=LIMITS))
    assert (await lab.look()).whole


async def test_a_missing_template_leaves_only_the_planted_conf(lab: Lab) -> None:
    await lab.do(lab.driver.plant(101, JOB, sample="vswap-256m", layout="simfs"))
    assert await error_of(lab, lab.driver.create(101, template="no-such", layout="simfs", limits=LIMITS)) is Permanent
    await lab.do(lab.driver.clean(101, JOB))
    await lab.do(lab.driver.unplant(101, JOB))
    assert (await lab.look()).nothing


async def test_an_id_that_somebody_took_is_taken(lab: Lab) -> None:
    await lab.make()
    assert await error_of(lab, lab.driver.plant(101, OTHER, sample="vswap-256m", layout="simfs")) is Taken
    assert await error_of(lab, lab.driver.create(101, template=TEMPLATE, layout="simfs", limits=LIMITS)) is Taken


async def test_the_node_tells_what_it_can_do(lab: Lab) -> None:
    await lab.make()
    node = lab.driver.abilities(await lab.ask(lab.driver.facts()))
    assert (node.dialect, node.version.split("-")[0], node.layouts, node.layout) == ("vzctl", "4.11.1", ("simfs",), "simfs")
    assert (node.cpus, node.memory_bytes, node.sample) == (8, 16 * GIB, "vswap-256m")
    assert node.disk_bytes == 200 * GIB
    assert TEMPLATE in node.templates
    assert node.ctids == (101,)
    assert node.boot_id == (await lab.look()).boot_id
