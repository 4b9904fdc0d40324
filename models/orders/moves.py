"""Orders that take a container to another node."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from models.orders.verbs import Verbal
from models.whitelist import Word
from models.windows import WindowText, ZoneName, next_opening, open_until, read_window, read_zone


class _Move(Verbal):
    to: Word | None = Field(None, description="Node to move it to; chosen by free capacity if left out.")
    mode: Literal["online", "offline", "online-else-offline"] = Field(
        "online", description="Whether its processes are kept (online) or it is stopped and started; or stopped only where they cannot be kept."
    )
    budget_s: float | None = Field(
        None, gt=0, le=86_400, description="Seconds that it may not answer; refused where earlier moves say that it will be longer."
    )
    over_budget: bool = Field(False, strict=True, description="Move it even if that breaks its budget of the move or the month; needs a reason.")


class MigrateContainer(_Move):
    """Move it to another node of its site; its source copy is kept until it answers from there."""

    kind: Literal["migrate-container"] = "migrate-container"
    window: WindowText | None = Field(None, description="Begin only then, e.g. mon-fri 22:00-04:00; at once if left out.")
    zone: ZoneName = Field("UTC", description="Time zone of the window, e.g. Europe/Berlin.")
    keep_source: bool = Field(False, strict=True, description="Leave the copy on the old node, unable to start, instead of removing it.")

    def opens_at(self, now: datetime) -> datetime | None:
        """When its window opens next; None: it is open, or there is none."""
        if self.window is None:
            return None
        windows, zone = [read_window(self.window)], read_zone(self.zone)
        return None if open_until(windows, zone, now) is not None else next_opening(windows, zone, now)


class CheckMigration(_Move):
    """Look whether it could be moved so, and name all that is in the way; changes nothing."""

    kind: Literal["check-migration"] = "check-migration"
