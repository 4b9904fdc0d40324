"""Campaigns that begin by the clock: adding schedules, and starting what is due. Runs in every service; a time is started once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from models.campaign_states import OVER
from models.campaigns import Campaign, CampaignKind
from models.cron import Cron
from models.database import Database
from models.rollouts import RolloutSpec
from models.schedules import Schedule
from models.windows import Window, next_opening, open_until, read_window, read_zone
from producers.audit import audit
from producers.intake import Intake
from producers.refusals import BadOrder, Refusal
from producers.rollouts.compiled import stored
from producers.rollouts.start import start

MISSED = timedelta(minutes=1)  # a time that passed so long ago was missed: no service was alive
FAR = 2000  # times that are looked at for one inside the windows


@dataclass(frozen=True)
class Wish:
    """A schedule as it is asked for."""

    name: str
    spec: RolloutSpec
    cron: str
    timezone: str = "UTC"
    windows: tuple[str, ...] = ()
    overlap: str = "skip"
    missed: str = "skip"


def add(database: Database, session: Session, wish: Wish, *, by: str, because: str) -> Schedule:
    """A new schedule; raises BadOrder for a name that is taken, and for times that never come."""
    now = database.now(session)
    if session.get(Schedule, wish.name) is not None:
        raise BadOrder({"name": f"there is a schedule {wish.name!r} already; remove it or choose another name"})
    schedule = Schedule(
        name=wish.name,
        kind=CampaignKind.ROLLOUT,
        spec=stored(wish.spec),
        cron=wish.cron,
        timezone=wish.timezone,
        windows=list(wish.windows),
        overlap=wish.overlap,
        missed=wish.missed,
        created_at=now,
        created_by=by,
        because=because,
    )
    schedule.next_at = next(times(schedule, now), None)
    if schedule.next_at is None:
        raise BadOrder({"windows": f"{wish.cron!r} is never due inside {', '.join(wish.windows)}"})
    session.add(schedule)
    audit(session, at=now, by=by, action="schedule add", subject=f"schedule:{wish.name}", because=because, data={"cron": wish.cron})
    return schedule


def find(session: Session, name: str, *, writing: bool = False) -> Schedule:
    """The schedule of that name; raises BadOrder."""
    schedule = session.get(Schedule, name, with_for_update=writing)
    if schedule is None:
        raise BadOrder({"schedule": f"there is no schedule {name!r}; see `vzq schedule list`"})
    return schedule


def pause(database: Database, session: Session, name: str, *, by: str, because: str, paused: bool) -> Schedule:
    """Let it start nothing, or go on from the next time after now: what passed meanwhile was not missed but paused. Safe to repeat."""
    schedule, now = find(session, name, writing=True), database.now(session)
    schedule.paused, schedule.queued_for = paused, None
    schedule.next_at = next(times(schedule, now), None)
    session.add(schedule)
    audit(session, at=now, by=by, action=f"schedule {'pause' if paused else 'resume'}", subject=f"schedule:{name}", because=because)
    return schedule


def remove(database: Database, session: Session, name: str, *, by: str, because: str) -> None:
    """It starts nothing any more; what it has started goes on."""
    session.delete(find(session, name, writing=True))
    audit(session, at=database.now(session), by=by, action="schedule remove", subject=f"schedule:{name}", because=because)


def times(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """When it is due after `moment`, inside its windows; raises BadOrder for what cannot be read."""
    try:
        zone = read_zone(schedule.timezone)
    except ValueError as error:
        raise BadOrder({"timezone": str(error)}) from None
    try:
        windows = [read_window(window) for window in schedule.windows]
    except ValueError as error:
        raise BadOrder({"windows": str(error)}) from None
    try:
        cron = Cron(schedule.cron, zone)
        due = cron.after(moment)
    except ValueError as error:
        raise BadOrder({"cron": str(error)}) from None
    return _inside(cron, windows, zone, moment) if windows else islice(due, FAR)


def _inside(cron: Cron, windows: Sequence[Window], zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Its times in the windows. Those before the next opening are not looked at one by one: a cron of every minute has thousands of them."""
    due = cron.after(moment)
    for _ in range(FAR):
        at = next(due, None)
        if at is None:
            return
        if open_until(windows, zone, at) is not None:
            yield at
            continue
        opens = next_opening(windows, zone, at)
        if opens is None:
            return
        due = cron.after(opens - timedelta(seconds=1))


class Scheduler:
    """Starts what is due."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    def run_once(self) -> int:
        """How many campaigns were started."""
        with self._database.read() as session:
            now = self._database.now(session)
            waits = (col(Schedule.next_at) <= now) | col(Schedule.queued_for).is_not(None)
            due = session.exec(select(Schedule.name).where(col(Schedule.paused).is_(False), waits).order_by(Schedule.name)).all()
        return sum(self._run(name) for name in due)

    def _run(self, name: str) -> bool:
        with self._database.write() as session:
            self._database.lock(session, f"schedule:{name}")
            schedule = session.get(Schedule, name, with_for_update=True)
            now = self._database.now(session)
            if schedule is None or schedule.paused:
                return False
            session.add(schedule)
            slot = self._slot(schedule, now)
            if slot is None:
                return False
            busy = self._busy(session, schedule)
            if busy is not None and schedule.overlap != "allow":
                queues = schedule.overlap == "queue"
                schedule.queued_for = slot if queues else None
                schedule.last_result = f"{_moment(slot)}: {'waits for' if queues else 'left out for'} {busy}, which has not ended"
                return False
            schedule.queued_for = None
            return self._start(session, schedule, slot)

    def _slot(self, schedule: Schedule, now: datetime) -> datetime | None:
        """The time to start for now, if any; the next one is set either way."""
        slot = schedule.queued_for
        if schedule.next_at is not None and schedule.next_at <= now:
            passed = schedule.next_at
            schedule.last_at, schedule.next_at = passed, next(times(schedule, now), None)
            if passed < now - MISSED and schedule.missed == "skip":
                schedule.last_result = f"{_moment(passed)}: left out, no service was alive then"
            else:
                slot = passed
        return slot

    @staticmethod
    def _busy(session: Session, schedule: Schedule) -> str | None:
        """What it started before and has not ended."""
        query = select(Campaign).where(Campaign.schedule == schedule.name, col(Campaign.state).not_in(OVER)).order_by(col(Campaign.id))
        running = session.exec(query).first()
        return f"{running.kind} {running.id}" if running is not None else None

    def _start(self, session: Session, schedule: Schedule, slot: datetime) -> bool:
        try:
            spec = RolloutSpec.model_validate(schedule.spec)
            key = f"schedule:{schedule.name}:{_moment(schedule.created_at)}:{_moment(slot)}"
            because = f"schedule {schedule.name}" + (f": {schedule.because}" if schedule.because else "")
            begun = start(self._database, self._intake, session, spec, by=schedule.created_by, because=because, key=key, schedule=schedule.name)
        except (Refusal, ValueError) as error:
            schedule.last_result = f"{_moment(slot)}: could not be started: {str(error).splitlines()[0]}"
            return False
        schedule.last_campaign, schedule.last_result = begun.campaign.id, f"{_moment(slot)}: started {begun.campaign.id}"
        return not begun.replay


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
