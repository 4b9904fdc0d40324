"""Orders about a container that exists. Most say how it shall stand; undo brings it back to how it stood."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from models.errors import Permanent
from models.orders import StopContainer
from models.reservations import SIZES
from models.standing import Standing, after, keys_are_lost
from workers.claims import Claim
from workers.openvz.driver import Driver, Identity, Limits, Sight
from workers.plans.container import ANSWER_WITHIN, Subject, limits_of, unless_gone
from workers.plans.create import first_start, make, unmake
from workers.steps import Plan, Step, Wait
from workers.tools import Tools

ContainerPlan = Callable[[Claim, Tools, Driver], Plan]
COUNTING = timedelta(minutes=10)  # du over some millions of files


def stand(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """start, stop, suspend, unsuspend, terminate, revive: bring it to what the table says."""
    subject, wanted = _subject(claim, tools, driver)
    before = subject.row.standing
    fast = claim.job.kind == "stop-container" and StopContainer.model_validate(claim.job.order).fast
    if wanted is before:
        undo: list[Step] = []  # the rows say the same before and after: what was done of it is right as it is
    elif wanted is Standing.RUNNING:
        undo = _steps(subject.bring_to(before))
    else:
        undo = subject.flags(before)  # before the pivot nothing was stopped, and what somebody else stopped stays so
    return Plan(
        do=subject.bring_to(wanted, fast=fast),
        undo=unless_gone(subject, undo),
        pivot="" if wanted is Standing.RUNNING else "stop",
        check=subject.must_be_ours,
        result=lambda s: {"ctid": subject.ct, "standing": wanted, "running": s.running},
    )


def restart(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Down once, then up; that it was down cannot be seen afterwards, so the journal is the proof."""
    subject, _ = _subject(claim, tools, driver)
    down = replace(subject.stop(), holds=None, critical=True)
    return Plan(do=[down, *subject.start()], pivot="stop", check=subject.must_be_ours, result=_running(subject))


def resize(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Other limits, live where the node can; less disk than its files take is refused before anything is touched."""
    subject, _ = _subject(claim, tools, driver)
    limits = Limits(**{size: claim.job.target[size] for size in SIZES})

    async def fits() -> bool:
        if limits.disk_bytes >= subject.row.disk_bytes:
            return True
        command = driver.usage(subject.ct)
        answer = await tools.run(command, patience=COUNTING)
        driver.judge(command, answer)
        used = driver.used(answer)
        if used > limits.disk_bytes:
            raise Permanent(
                f"container {subject.ct} uses {_mib(used)} MiB of disk, plan {claim.job.target['plan']} has only {_mib(limits.disk_bytes)} MiB;"
                " nothing was changed; order a larger plan, or again when files were removed"
            )
        return True

    return Plan(
        do=[Wait("fits", fits, COUNTING), replace(subject.limits(limits), critical=True)],
        undo=[subject.limits_again(limits_of(subject.row))],
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, "plan": claim.job.target["plan"]},
    )


def set_password(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Over stdin, from inside. Nothing to undo: a try that failed has left the old one."""
    subject, _ = _subject(claim, tools, driver)
    if "password" not in claim.sealed:
        raise Permanent("the order's password has been erased; order it again")

    def must_run(sight: Sight) -> None:
        subject.must_be_ours(sight)
        if not sight.running:
            raise Permanent(
                f"container {subject.ct} does not run on {subject.row.node}, and a password is set from inside; start it, then order again"
            )

    return Plan(do=[subject.password(claim.sealed["password"])], check=must_run, result=_running(subject))


def identity(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """set-hostname, set-nameservers, rename: each only its own part, for the others may be on their way in another order."""
    subject, _ = _subject(claim, tools, driver)
    target, row = claim.job.target, subject.row
    before, wanted = Identity(row.hostname), Identity(target.get("hostname", row.hostname))
    if "name" in target:
        before, wanted = replace(before, name=target["was"] or ""), replace(wanted, name=target["name"])
    if "nameservers" in target:
        before = replace(before, nameservers=tuple(row.nameservers), searchdomain=row.searchdomain)
        wanted = replace(wanted, nameservers=tuple(target["nameservers"]), searchdomain=target.get("searchdomain"))
    changes: dict[str, Any] = {field: target[field] for field in ("hostname", "name", "nameservers", "searchdomain") if field in target}
    return Plan(
        do=[subject.identity(wanted)],
        undo=unless_gone(subject, [subject.identity(before)]),
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, **changes},
    )


def add_address(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """One more address; done when it answers, if the container runs."""
    subject, wanted = _subject(claim, tools, driver)
    address = claim.job.target["address"]
    called = "add-addresses" if claim.job.order.get("address") else "new-addresses"

    async def answering() -> bool:
        if wanted is not Standing.RUNNING or await subject.answers(address):
            return True
        return not await subject.executes()  # it was shut down from inside: the address comes up with it

    return Plan(
        do=[subject.has_addresses([address], called=called), Wait("answer", answering, ANSWER_WITHIN)],
        undo=unless_gone(subject, [subject.lacks_address(address)]),
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, "address": address},
    )


def remove_address(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """One address less."""
    subject, _ = _subject(claim, tools, driver)
    address = claim.job.target["address"]
    return Plan(
        do=[subject.lacks_address(address)],
        undo=unless_gone(subject, [subject.has_addresses([address])]),
        check=subject.must_be_ours,
        result=lambda _: {"ctid": subject.ct, "address": address},
    )


def purge(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Gone for good; only what still carries the mark that the row knows is removed."""
    subject, _ = _subject(claim, tools, driver)
    ct, ours = subject.ct, subject.is_ours

    def ours_or_gone(sight: Sight) -> None:
        if not ours(sight) and not _nothing_in_place(sight):  # half of ours: a destroy that was killed
            subject.must_be_ours(sight)

    do: list[Step | Wait] = [
        Step("stop", lambda _: driver.stop(ct, fast=True), lambda s: not ours(s) or not s.running),
        Step("umount", lambda _: driver.umount(ct), lambda s: not ours(s) or not s.mounted),
        Step("destroy", lambda _: driver.destroy(ct), lambda s: not ours(s)),
        Step("drop", lambda s: driver.drop(ct, s.aside or ""), lambda s: s.aside is None, locks=False),
    ]
    return Plan(do=do, pivot="destroy", check=ours_or_gone, result=lambda _: {"ctid": ct})


def reinstall(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """A fresh system under the same id; the old one is kept aside until the new one answers, and comes back if it does not."""
    if claim.node is None:
        raise Permanent("the container's node is no longer enrolled")
    old, _ = _subject(claim, tools, driver)
    ct, job = old.ct, claim.job.id
    new = old.marked(job)

    def is_new(sight: Sight) -> bool:
        return sight.marker == job and tools.began("plant")

    def put_away(sight: Sight) -> bool:
        return is_new(sight) or (sight.aside == job and sight.conf is None)  # the conf goes last

    def check(sight: Sight) -> None:
        old.must_be_ours(sight)
        if sight.suspended:
            raise Permanent(f"container {ct} is suspended to a dump on {old.row.node} (vzctl suspend); resume it there first")
        if sight.layout == "ploop" and not claim.job.order.get("fresh_keys"):
            raise Permanent(keys_are_lost(ct, "it is on ploop"))
        if sight.aside is not None:
            raise Permanent(f"job {sight.aside} still keeps an older system of container {ct} aside; resolve that job first")

    do: list[Step | Wait] = [
        replace(old.step("stop", lambda _: driver.stop(ct), lambda s: put_away(s) or not s.running), critical=True),
        old.step("umount", lambda _: driver.umount(ct), lambda s: put_away(s) or not s.mounted),
        Step("aside", lambda _: driver.aside(ct, job, old.mark), put_away, locks=False),
        *make(new, claim.node, job, template=claim.job.target["template"], ours=is_new, called="recreate"),
        Step("keys", lambda _: driver.keys(ct, job), None, locks=False),
        *first_start(new, claim, otherwise="the old system comes back"),
        new.step("onboot", lambda _: driver.set_onboot(ct, onboot=True), lambda s: driver.has_onboot(s, onboot=True)),
        Step("drop", lambda _: driver.drop(ct, job), lambda s: s.aside is None, locks=False),
    ]
    undo = [
        *unmake(new, job, ours=is_new, suffix="-new"),
        Step("back", lambda _: driver.back(ct, job), lambda s: s.aside != job, locks=False),
        *_steps(old.bring_to(old.row.standing)),
    ]
    return Plan(do=do, undo=undo, pivot="drop", check=check, result=_running(new))


def _nothing_in_place(sight: Sight) -> bool:
    """Nothing under the id itself; an older system may be kept aside."""
    return replace(sight, aside=None).nothing


def _mib(size: int) -> int:
    return -(-size // (1 << 20))


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
