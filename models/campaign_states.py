"""The life of a campaign, as models/lifecycle.py is that of a job: one table (state, cause) → state; and what became of each target."""

from enum import StrEnum, auto


class CampaignState(StrEnum):
    """Where a campaign stands."""

    RUNNING = auto()  # targets are started as its decision allows
    WAITING = auto()  # its maintenance window is closed; goes on by itself. Jobs that have not begun are held
    PAUSED = auto()  # by a person or by its guard; a person lets it go on. Jobs that have not begun are held
    STOPPING = auto()  # its guard ended it: nothing more is started, what has begun goes to its end
    ABORTING = auto()  # a person ended it; as above
    DONE = auto()  # every target has ended, within the budget
    STOPPED = auto()  # ended by its guard
    ABORTED = auto()  # ended by a person


class CampaignCause(StrEnum):
    """Why a campaign moved."""

    STARTED = auto()  # the first event of every campaign
    WAVE = auto()  # the first target of a wave was started
    WINDOW_CLOSED = auto()
    WINDOW_OPENED = auto()
    PAUSED = auto()  # a person
    GUARD_PAUSED = auto()  # the failure budget is used up, and the specification says to pause
    RESUMED = auto()  # a person; perhaps with more failures allowed
    RESPED = auto()  # another speed
    BUDGET_USED = auto()  # the failure budget is used up
    STALLED = auto()  # no progress for as long as its deadline allows
    ABORTED = auto()  # a person
    FINISHED = auto()  # all targets have ended
    RAN_OUT = auto()  # stopping or aborting, and the last target that was in flight has ended


S, C = CampaignState, CampaignCause
_LIVE = (S.RUNNING, S.WAITING, S.PAUSED)
CAMPAIGN_EDGES: dict[tuple[CampaignState, CampaignCause], CampaignState] = {
    (S.RUNNING, C.WAVE): S.RUNNING,
    (S.RUNNING, C.WINDOW_CLOSED): S.WAITING,
    (S.RUNNING, C.GUARD_PAUSED): S.PAUSED,
    (S.WAITING, C.WINDOW_OPENED): S.RUNNING,
    (S.WAITING, C.GUARD_PAUSED): S.PAUSED,
    (S.PAUSED, C.RESUMED): S.RUNNING,
    (S.RUNNING, C.PAUSED): S.PAUSED,
    (S.WAITING, C.PAUSED): S.PAUSED,
    (S.RUNNING, C.STALLED): S.STOPPING,
    **{(state, C.RESPED): state for state in _LIVE},
    (S.RUNNING, C.BUDGET_USED): S.STOPPING,
    (S.WAITING, C.BUDGET_USED): S.STOPPING,
    **{(state, C.ABORTED): S.ABORTING for state in _LIVE},
    **{(state, C.FINISHED): S.DONE for state in _LIVE},
    (S.STOPPING, C.ABORTED): S.ABORTING,
    (S.STOPPING, C.RAN_OUT): S.STOPPED,
    (S.ABORTING, C.RAN_OUT): S.ABORTED,
}
OVER = frozenset(CampaignState) - {start for start, _ in CAMPAIGN_EDGES}


class NoSuchTurn(Exception):
    """The table has no edge for this state and cause."""


def turn(state: CampaignState, cause: CampaignCause) -> CampaignState:
    """Where `cause` leads from `state`; raises NoSuchTurn where the table has no such edge."""
    try:
        return CAMPAIGN_EDGES[state, cause]
    except KeyError:
        raise NoSuchTurn(f"a campaign that is {state} cannot be {cause}") from None


class Outcome(StrEnum):
    """What became of one target. Counted apart; together they are always the whole population."""

    NOT_STARTED = "not-started"
    IN_FLIGHT = "in-flight"  # its job has not ended
    OK = "ok"
    UP_TO_DATE = "up-to-date"  # there was nothing to do
    FAILED = "failed"
    UNREACHABLE = "unreachable"  # its node or the container did not answer
    REGRESSED = "regressed"  # done, but its health check says it was better before
    SKIPPED = "skipped"  # with the reason


OPEN_OUTCOMES = frozenset({Outcome.NOT_STARTED, Outcome.IN_FLIGHT})
GOOD = frozenset({Outcome.OK, Outcome.UP_TO_DATE})
BAD = frozenset({Outcome.FAILED, Outcome.UNREACHABLE, Outcome.REGRESSED})
