"""A new container: claimed by its id, made, sized, named, addressed, started, answering, handed over."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from models.errors import Permanent
from models.fleet import Node
from workers.claims import Claim
from workers.commands import Command
from workers.openvz.driver import Driver, Sight
from workers.plans.container import ANSWER_WITHIN, EXEC_WITHIN, Subject, identity_of, limits_of
from workers.steps import Plan, Step, Wait
from workers.tools import Tools, known_abilities


def create(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Each step adopts what an earlier run of this job half made; nothing that is not this job's is ever touched."""
    if claim.node is None:
        raise Permanent("the order has no place; retry it")
    subject, job, node = Subject.of(claim, tools, driver), claim.job.id, claim.node

    def ours(sight: Sight) -> bool:
        return sight.marker == job and tools.began("plant")  # the ledger is the proof, the marker tells that it is still the same one

    def result(sight: Sight) -> dict[str, Any]:
        return {"ctid": subject.ct, "node": node.name, "addresses": list(claim.addresses), "running": sight.running}

    do = [
        *make(subject, node, job, template=subject.row.template, ours=ours),
        *first_start(subject, claim, called="first-start"),
        Step("hand-over", lambda _: driver.set_onboot(subject.ct, onboot=True), lambda s: driver.has_onboot(s, onboot=True)),
    ]
    return Plan(do=do, undo=unmake(subject, job, ours=ours), pivot="hand-over", result=result)


def make(subject: Subject, node: Node, job: str, *, template: str, ours: Callable[[Sight], bool], called: str = "create") -> list[Step | Wait]:
    """From nothing to a whole, stopped container with its limits, names and addresses.

    `called` names the command that fills it, because what its failure means depends on what waits for it (exit_codes).
    vzctl writes the template into the conf last: a private area without it comes from a create that was killed behind
    the unpacking, the distribution's own set-up may be missing in it, and so it is made anew.
    """
    ct, driver, row = subject.ct, subject.driver, subject.row
    abilities = known_abilities(node)
    sample = abilities.sample
    if sample is None:
        raise Permanent(f"node {node.name} has no configuration sample (/etc/vz/conf/ve-*.conf-sample); install vzctl's samples and retry")
    limits = limits_of(row)

    def fill(_: Sight) -> Command:
        return replace(driver.create(ct, template=template, layout=abilities.layout, limits=limits), name=called)

    def made(sight: Sight) -> bool:
        return sight.whole and ours(sight) and sight.template is not None

    return [
        Step("discard", lambda _: driver.destroy(ct), lambda s: made(s) or not (s.whole and ours(s))),
        Step("plant", lambda _: driver.plant(ct, job, sample=sample, layout=abilities.layout), ours, locks=False),
        Step("clean", lambda _: driver.clean(ct, job), lambda s: s.whole or not _half(s), locks=False),
        Step("make", fill, made, stoppable=True),
        subject.limits(limits),
        subject.identity(identity_of(row, job)),
        subject.has_no_others(subject.addresses),
        subject.has_addresses(subject.addresses),
    ]


def first_start(subject: Subject, claim: Claim, *, called: str = "start", otherwise: str = "") -> list[Step | Wait]:
    """Started, executing, with the ordered password, answering; `otherwise` is what follows when it does not come up in time.

    `called` tells a start with addresses that nobody had before (exit_codes).
    """
    ct, driver = subject.ct, subject.driver
    steps: list[Step | Wait] = [
        subject.step("start", lambda _: replace(driver.start(ct), name=called), lambda s: s.running),
        Wait("exec", subject.executes, EXEC_WITHIN, otherwise=otherwise),
    ]
    if "password" in claim.sealed:
        steps.append(subject.password(claim.sealed["password"]))
    return [*steps, Wait("answer", subject.reachable, ANSWER_WITHIN, every=timedelta(milliseconds=100), otherwise=otherwise)]


def unmake(subject: Subject, job: str, *, ours: Callable[[Sight], bool], suffix: str = "") -> list[Step]:
    """Back to nothing, as far as the node proves that this job made it; `suffix` tells the steps from those of another container."""
    ct, driver = subject.ct, subject.driver
    return [
        Step(f"stop{suffix}", lambda _: driver.stop(ct, fast=True), lambda s: not ours(s) or not s.running),
        Step(f"umount{suffix}", lambda _: driver.umount(ct), lambda s: not ours(s) or not s.mounted),
        Step(f"destroy{suffix}", lambda _: driver.destroy(ct), lambda s: not ours(s) or not s.whole),
        Step(f"clean{suffix}", lambda _: driver.clean(ct, job), lambda s: not ours(s) or not _half(s), locks=False),
        Step(f"unplant{suffix}", lambda _: driver.unplant(ct, job), lambda s: not ours(s), locks=False),
    ]


def _half(sight: Sight) -> bool:
    return sight.half_made or sight.private == "empty"
