"""When a schedule is due: cron expressions in the time of a place. Pure: the moment is handed in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

LONGEST = 100


class Cron:
    """Five fields: minute, hour, day of the month, month, day of the week; or @daily and the like. Raises ValueError."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        fields = expression.split()
        if len(expression) > LONGEST or not expression.isascii() or (len(fields) != 5 and not expression.startswith("@")):
            raise ValueError(f"{expression[:40]!r} is not a cron expression; write five fields, e.g. '0 3 * * sun'")
        if not croniter.is_valid(expression):
            raise ValueError(f"{expression!r} is not a cron expression; write five fields, e.g. '0 3 * * sun'")
        self.expression = expression
        self._zone = zone
        self._fixed_hours = expression != "@hourly" if expression.startswith("@") else not fields[1].startswith("*")
        try:
            next(self.after(datetime(2026, 1, 1, tzinfo=UTC)))
        except StopIteration:
            raise ValueError(f"{expression!r} never comes, e.g. because there is no such day") from None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Each moment after this one when it is due, in UTC, the nearest first."""
        walk = croniter(self.expression, moment.astimezone(self._zone), ret_type=datetime)
        last = moment
        try:
            while True:
                local = walk.get_next(datetime)
                due = local.astimezone(UTC)
                if due > last and not (self._fixed_hours and due.astimezone(self._zone).fold):  # an hour that the clocks show twice
                    last = due
                    yield due
        except CroniterBadDateError:
            return

    def next(self, moment: datetime) -> datetime:
        """The nearest one; raises ValueError when there is none."""
        for due in islice(self.after(moment), 1):
            return due
        raise ValueError(f"{self.expression!r} is not due again")
