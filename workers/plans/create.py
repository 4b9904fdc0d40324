"""A new container: claimed by its id, made, sized, named, addressed, started, answering, handed over."""

from datetime import timedelta
from typing import Any

from models.errors import NodeFault, Permanent, Retryable, Unsure
from workers.claims import Claim
from workers.openvz.driver import Driver, Identity, Limits, Sight
from workers.steps import Plan, Step, Wait
from workers.tools import Tools, known_abilities

EXEC_WITHIN = timedelta(minutes=3)
ANSWER_WITHIN = timedelta(minutes=3)


def create(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Each step adopts what an earlier run of this job half made; nothing that is not this job's is ever touched."""
    container, job = claim.container, claim.job.id
    if container is None or claim.node is None:
        raise Permanent("the order has no place; retry it")
    ct, node = container.ctid, claim.node
    abilities = known_abilities(node)
    sample = abilities.sample
    if sample is None:
        raise Permanent(f"node {node.name} has no configuration sample (/etc/vz/conf/ve-*.conf-sample); install vzctl's samples and retry")
    limits = Limits(container.ram_bytes, container.swap_bytes, container.disk_bytes, container.inodes, container.cpus, container.cpuunits)
    identity = Identity(container.hostname, container.name, f"vzq job {job}", tuple(container.nameservers), container.searchdomain)
    addresses = list(claim.addresses)

    def ours(sight: Sight) -> bool:
        return sight.marker == job and tools.began("plant")  # the ledger is the proof, the marker tells that it is still the same one

    async def executes() -> bool:
        command = driver.exec_true(ct)
        try:
            driver.judge(command, await tools.run(command))
        except NodeFault:
            raise
        except (Retryable, Unsure):
            return False
        return True

    async def reachable() -> bool:
        return await tools.answers(addresses[0], container.probe)

    do: list[Step | Wait] = [
        Step("plant", lambda _: driver.plant(ct, job, sample=sample, layout=abilities.layout), ours, locks=False),
        Step("clean", lambda _: driver.clean(ct, job), lambda s: s.whole or not (s.half_made or s.private == "empty"), locks=False),
        Step("make", lambda _: driver.create(ct, template=container.template, layout=abilities.layout, limits=limits), lambda s: s.whole and ours(s)),
        Step("limits", lambda _: driver.set_limits(ct, limits), lambda s: driver.has_limits(s, limits)),
        Step("identity", lambda _: driver.set_identity(ct, identity), lambda s: driver.has_identity(s, identity)),
        Step("addresses", lambda _: driver.add_addresses(ct, addresses), lambda s: driver.has_addresses(s, addresses)),
        Step("start", lambda _: driver.start(ct), lambda s: s.running),
        Wait("exec", executes, EXEC_WITHIN),
    ]
    if "password" in claim.sealed:
        do.append(Step("password", lambda _: driver.set_password(ct, "root", tools.open(claim.sealed["password"])), None, locks=False))
    do += [
        Wait("answer", reachable, ANSWER_WITHIN, every=timedelta(milliseconds=100)),
        Step("hand-over", lambda _: driver.set_onboot(ct, onboot=True), lambda s: s.running and driver.has_onboot(s, onboot=True)),
    ]
    undo = [
        Step("stop", lambda _: driver.stop(ct, fast=True), lambda s: not ours(s) or not s.running),
        Step("umount", lambda _: driver.umount(ct), lambda s: not ours(s) or not s.mounted),
        Step("destroy", lambda _: driver.destroy(ct), lambda s: not ours(s) or not s.whole),
        Step("clean", lambda _: driver.clean(ct, job), lambda s: not ours(s) or not (s.half_made or s.private == "empty"), locks=False),
        Step("unplant", lambda _: driver.unplant(ct, job), lambda s: not ours(s), locks=False),
    ]

    def result(sight: Sight) -> dict[str, Any]:
        return {"ctid": ct, "node": node.name, "addresses": addresses, "running": sight.running}

    return Plan(do=do, undo=undo, pivot="hand-over", result=result)
