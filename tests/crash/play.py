"""Play one case to its end and say what was violated: nothing, in a build that is sound."""

import asyncio
from dataclasses import dataclass

from sqlmodel import col, select

from models.jobs import Event, Job
from models.lifecycle import FINAL, State
from producers.dispatcher import RENEWAL_GRACE_S
from producers.jobs import Choice, resolve
from producers.refusals import Refusal
from tests.crash import virtual_time
from tests.crash.checks import checks
from tests.crash.faults import HARM, Case
from tests.crash.gate import ServiceDied
from tests.crash.house import Build, CrashHouse, Ground

PATIENCE_S = 10 * 3600.0  # the deadline of the order and some more
QUIET_S = 3600.0


@dataclass(frozen=True)
class Played:
    """How a case went."""

    case: Case
    violations: list[str]
    state: State
    points: list[str]
    story: list[str]


def play(ground: Ground, case: Case, build: Build | None = None) -> Played:
    """From the order to the end, and until nothing moves any more."""

    async def whole() -> Played:
        house = CrashHouse(ground, case, build or Build())
        await _to_the_end(house)
        violations = [*house.violations, *checks(house)]
        return Played(case, violations, house.job().state, house.gate.passed, house.story + _events(house))

    played: Played = virtual_time.run(ground.clock, whole())
    return played


async def _to_the_end(house: CrashHouse) -> None:
    for _ in range(2):
        house.start_worker()
    until = house.clock.monotonic() + PATIENCE_S
    choices = iter(house.case.choices)
    while (state := house.asked("state")[0]) not in FINAL:
        if house.given_up:
            break
        if house.clock.monotonic() > until:
            house.violations.append(f"it did not end: {house.asked('state, step, error')}")
            break
        if state == State.STUCK and not _decide(house, house.job(), next(choices, None)):
            break
        await _go_round(house)
    for worker in house.everybody:
        worker.thaw()
    quiet = house.clock.monotonic() + QUIET_S
    while any(worker.busy for worker in house.everybody) or any(run.live for node in house.nodes.values() for run in node.runs.values()):
        if house.clock.monotonic() > quiet:
            house.violations.append("the job has ended, but something still moves")
            break
        await asyncio.sleep(1)
    for worker in house.everybody:
        worker.rest()
    await asyncio.sleep(60)  # what is still on a wire arrives


async def _go_round(house: CrashHouse) -> None:
    """One of the two dispatchers goes round, or one that died is started again; then until something may be due."""
    number = house.rng.randrange(len(house.desks))
    if house.clock.monotonic() < house.away_until:
        house.desks[number]._trust_leases_from = house.clock.monotonic() + RENEWAL_GRACE_S
        await house.until_woken(1.0)
        return
    try:
        house.desks[number].go_round()
    except ServiceDied:
        house.desks[number] = house.open_desk()
        await house.until_woken(1.5)
        return
    await house.until_woken(max(house.next_moment(), 0.0) + 0.02 + house.rng.random() * 0.4)


def _decide(house: CrashHouse, job: Job, choice: str | None) -> bool:
    """A person looks at a stuck job."""
    if not _may_be_stuck(house, job):
        house.violations.append(f"stuck without need: {job.error_class}: {job.error}")
    if choice is None:
        house.violations.append(f"nobody can get it out of stuck: {job.error}")
        return False
    picked: Choice = "put-back" if choice == "put-back" else "go-on"
    wishes: tuple[Choice, ...] = (picked, "go-on")
    for wish in wishes:
        try:
            with house.database.write() as session:
                resolve(session, session.get_one(Job, house.job_id), wish, by="crash", because="", now=house.clock.now())
        except Refusal:
            continue
        house.tell(f"a person mends the nodes, then: {wish}")
        house.mend()
        for node in house.nodes.values():
            node.strikes.clear()
        return True
    return False


def _may_be_stuck(house: CrashHouse, job: Job) -> bool:
    """Poison, or an answer that nobody knows, and the case gave cause for it."""
    hows = ["reboot" if "reboot" in fault.how + fault.word else fault.how for fault in house.case.faults]
    if job.error_class == "Poisoned":
        return sum(how in HARM for how in hows) >= 2
    if job.error_class == "Unexpected":
        return any(fault.how in ("code", "plague") and fault.word.startswith("unexpected") for fault in house.case.faults) or "reboot" in hows
    return job.past_pivot or "stranger" in hows or (("plague" in hows or "code" in hows) and _was_undoing(house))


def _was_undoing(house: CrashHouse) -> bool:
    with house.database.read() as session:
        events = session.exec(select(Event).where(Event.job_id == house.job_id).order_by(col(Event.id).desc()).limit(2)).all()
    return events[-1].state == State.UNDOING


def _events(house: CrashHouse) -> list[str]:
    with house.database.read() as session:
        events = session.exec(select(Event).where(Event.job_id == house.job_id).order_by(col(Event.id))).all()
    return [f"{event.cause:>14} → {event.state}: {event.why}" for event in events]
