"""Orders about a container that exists. Most say how it shall stand; undo brings it back to how it stood."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from models.errors import Permanent
from models.orders import StopContainer
from models.reservations import SIZES
from models.standing import Standing, after
from workers.claims import Claim
from workers.openvz.driver import Driver, Limits, Sight
from workers.plans.container import ANSWER_WITHIN, Subject, identity_of, limits_of
from workers.plans.create import first_start, make, password
from workers.steps import Plan, Step, Wait
from workers.tools import Tools

ContainerPlan = Callable[[Claim, Tools, Driver], Plan]


def stand(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """start, stop, suspend, unsuspend, terminate, revive: bring it to what the table says."""
    subject, wanted = _subject(claim, tools, driver)
    fast = claim.job.kind == "stop-container" and StopContainer.model_validate(claim.job.order).fast
    return Plan(
        do=subject.bring_to(wanted, fast=fast),
        undo=_steps(subject.bring_to(subject.row.standing)),
        pivot="" if wanted is Standing.RUNNING else "stop",
        check=subject.must_be_ours,
        result=lambda s: {"ctid": subject.ct, "standing": wanted, "running": s.running},
    )


def restart(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Down once, then up; that it was down cannot be seen afterwards, so the journal is the proof."""
    subject, _ = _subject(claim, tools, driver)
    down = Step("stop", lambda _: driver.stop(subject.ct), None)
    return Plan(do=[down, *subject.start()], pivot="stop", check=subject.must_be_ours, result=_running(subject))


def resize(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Other limits, live where the node can; less disk than its files take is refused before anything is touched."""
    subject, _ = _subject(claim, tools, driver)
    limits = Limits(**{size: claim.job.target[size] for size in SIZES})

    async def fits() -> bool:
        if limits.disk_bytes >= subject.row.disk_bytes:
            return True
        command = driver.usage(subject.ct)
        answer = await tools.run(command)
        driver.judge(command, answer)
        used = driver.used(answer)
        if used > limits.disk_bytes:
            raise Permanent(
                f"container {subject.ct} uses {used >> 20} MiB of disk; plan {claim.job.target['plan']} has {limits.disk_bytes >> 20} MiB"
            )
        return True

    return Plan(
        do=[Wait("fits", fits, timedelta(minutes=1)), subject.limits(limits)],
        undo=[subject.limits(limits_of(subject.row))],
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, "plan": claim.job.target["plan"]},
    )


def set_password(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Over stdin, from inside; the old one is not known, so there is no way back."""
    subject, _ = _subject(claim, tools, driver)
    if "password" not in claim.sealed:
        raise Permanent("the order's password has been erased; order it again")
    return Plan(do=[password(subject, claim.sealed["password"])], pivot="password", check=subject.must_be_ours, result=_running(subject))


def identity(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """set-hostname, set-nameservers, rename."""
    subject, _ = _subject(claim, tools, driver)
    target, row = claim.job.target, subject.row
    before = replace(identity_of(row), name=target.get("was", row.name))
    changes: dict[str, Any] = {field: target[field] for field in ("hostname", "name", "searchdomain") if field in target}
    if "nameservers" in target:
        changes["nameservers"] = tuple(target["nameservers"])
    return Plan(
        do=[subject.identity(replace(before, **changes))],
        undo=[subject.identity(before)],
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, **changes},
    )


def add_address(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """One more address; done when it answers, if the container runs."""
    subject, wanted = _subject(claim, tools, driver)
    address = claim.job.target["address"]

    async def answering() -> bool:
        return wanted is not Standing.RUNNING or await tools.answers(address, subject.row.probe)

    return Plan(
        do=[subject.has_addresses([address]), Wait("answer", answering, ANSWER_WITHIN)],
        undo=[subject.lacks_address(address)],
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, "address": address},
    )


def remove_address(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """One address less."""
    subject, _ = _subject(claim, tools, driver)
    address = claim.job.target["address"]
    return Plan(
        do=[subject.lacks_address(address)],
        undo=[subject.has_addresses([address])],
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, "address": address},
    )


def purge(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Gone for good; only what still carries the mark that the row knows is removed."""
    subject, _ = _subject(claim, tools, driver)
    ct, mark = subject.ct, subject.row.job_id or ""

    def ours(sight: Sight) -> bool:
        return sight.marker == mark

    do: list[Step | Wait] = [
        Step("stop", lambda _: driver.stop(ct, fast=True), lambda s: not ours(s) or not s.running),
        Step("umount", lambda _: driver.umount(ct), lambda s: not ours(s) or not s.mounted),
        Step("destroy", lambda _: driver.destroy(ct), lambda s: not ours(s)),
    ]
    return Plan(do=do, pivot="stop", check=subject.must_be_ours_or_gone, result=lambda _: {"ctid": ct})


def reinstall(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """A fresh system under the same id; the old one is kept aside until the new one answers, and comes back if it does not."""
    if claim.node is None:
        raise Permanent("the container's node is no longer enrolled")
    subject, _ = _subject(claim, tools, driver)
    ct, job, old = subject.ct, claim.job.id, subject.row.job_id or ""

    def ours(sight: Sight) -> bool:
        return sight.marker == job

    def put_away(sight: Sight) -> bool:
        return sight.aside == job or ours(sight)

    do: list[Step | Wait] = [
        Step("stop", lambda _: driver.stop(ct), lambda s: put_away(s) or not s.running),
        Step("umount", lambda _: driver.umount(ct), lambda s: put_away(s) or not s.mounted),
        Step("aside", lambda _: driver.aside(ct, job, old), put_away, locks=False),
        *make(subject, claim.node, job, template=claim.job.target["template"], ours=ours),
        Step("keys", lambda _: driver.keys(ct, job), None, locks=False),
        *first_start(subject, claim),
        Step("onboot", lambda _: driver.set_onboot(ct, onboot=True), lambda s: driver.has_onboot(s, onboot=True)),
        Step("drop", lambda _: driver.drop(ct, job), lambda s: s.aside is None, locks=False),
    ]
    undo = [
        Step("stop-new", lambda _: driver.stop(ct, fast=True), lambda s: not ours(s) or not s.running),
        Step("umount-new", lambda _: driver.umount(ct), lambda s: not ours(s) or not s.mounted),
        Step("destroy-new", lambda _: driver.destroy(ct), lambda s: not ours(s) or not s.whole),
        Step("clean-new", lambda _: driver.clean(ct, job), lambda s: not ours(s) or not (s.half_made or s.private == "empty"), locks=False),
        Step("unplant-new", lambda _: driver.unplant(ct, job), lambda s: not ours(s), locks=False),
        Step("back", lambda _: driver.back(ct, job), lambda s: s.aside is None, locks=False),
        *_steps(subject.bring_to(subject.row.standing)),
    ]
    return Plan(do=do, undo=undo, pivot="drop", check=subject.must_be_ours, result=_running(subject))


def _subject(claim: Claim, tools: Tools, driver: Driver) -> tuple[Subject, Standing]:
    """The container, and what the verb makes of it as it stands now; raises Permanent with the reason why not."""
    subject = Subject.of(claim, tools, driver)
    wanted = after(claim.job.kind, subject.row.standing)
    if not isinstance(wanted, Standing):
        raise Permanent(f"container {subject.ct} cannot be given {claim.job.kind}: {wanted}")
    return subject, wanted


def _steps(steps: list[Step | Wait]) -> list[Step]:
    """Going back waits for nobody."""
    return [step for step in steps if isinstance(step, Step)]


def _running(subject: Subject) -> Callable[[Sight], dict[str, Any]]:
    return lambda s: {"ctid": subject.ct, "running": s.running}


VERB_PLANS: dict[str, ContainerPlan] = {
    "start-container": stand,
    "stop-container": stand,
    "suspend-container": stand,
    "unsuspend-container": stand,
    "terminate-container": stand,
    "revive-container": stand,
    "restart-container": restart,
    "resize-container": resize,
    "reinstall-container": reinstall,
    "set-password": set_password,
    "set-hostname": identity,
    "set-nameservers": identity,
    "rename-container": identity,
    "add-address": add_address,
    "remove-address": remove_address,
    "purge-container": purge,
}
