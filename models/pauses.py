"""What is paused: everything, a site, a node, a kind or a producer; by whom and why. What runs goes on, nothing new begins."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum, auto

from sqlalchemy import ColumnElement, false, or_, true
from sqlmodel import Field, SQLModel, col

from models.columns import Instant, choice
from models.jobs import Job


class Reach(StrEnum):
    """Of what a pause says that it rests."""

    EVERYTHING = auto()
    SITE = auto()
    NODE = auto()
    KIND = auto()
    PRODUCER = auto()


class Pause(SQLModel, table=True):
    """Jobs within its reach that wait go on waiting, whatever they have begun; their deadlines wait with them."""

    reach: Reach = Field(sa_type=choice(Reach), primary_key=True)
    name: str = Field(default="", primary_key=True)  # of the site, node …; empty for everything
    by: str
    because: str
    since: datetime = Field(sa_type=Instant)

    @property
    def what(self) -> str:
        """What rests, in words."""
        return f"{self.reach} {self.name}".strip()

    def holds(self, *, site: str, node: str | None, kind: str, producer: str) -> bool:
        """A job with these rests; `held` says the same in SQL."""
        mine = {Reach.EVERYTHING: "", Reach.SITE: site, Reach.NODE: node, Reach.KIND: kind, Reach.PRODUCER: producer}
        return mine[self.reach] == self.name

    @property
    def held(self) -> ColumnElement[bool]:
        """Jobs that rest; as `holds`."""
        columns = {Reach.SITE: Job.site, Reach.NODE: Job.node, Reach.KIND: Job.kind, Reach.PRODUCER: Job.producer}
        if self.reach is Reach.EVERYTHING:
            return true()
        here = (col(columns[self.reach]) == self.name) & col(columns[self.reach]).is_not(None)
        return here if self.reach is not Reach.NODE else here | ((col(Job.to_node) == self.name) & col(Job.to_node).is_not(None))


def at_rest(pauses: Sequence[Pause]) -> ColumnElement[bool]:
    """Jobs that any of these pauses holds."""
    return or_(false(), *(pause.held for pause in pauses))
