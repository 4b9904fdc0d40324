"""The life of a job: one table (state, cause) → state. Nothing else in vzq knows which moves there are."""

from enum import StrEnum, auto


class State(StrEnum):
    """Where a job stands; what the word means for the node is said beside it."""

    QUEUED = auto()  # accepted; waits for its hour, its container, a slot
    DISPATCHED = auto()  # a message is on the queue; no worker has it yet
    RUNNING = auto()  # one worker holds the lease and touches the node
    UNDOING = auto()  # it failed for good or was taken back: what it began goes back, last first
    DONE = auto()  # the node is as ordered
    FAILED = auto()  # the node is as it was before
    CANCELLED = auto()  # asked for; the node is as it was before
    STUCK = auto()  # the node is neither; a person must look


class Cause(StrEnum):
    """Why a job moved; kept apart from the state, because a lost worker and a locked container both lead to queued."""

    ACCEPTED = auto()  # the order was taken; the first event of every job
    DISPATCHED = auto()  # admission let it go; a token was drawn
    UNCLAIMED = auto()  # the dispatch lease ended: the message was lost or no worker took it
    CLAIMED = auto()  # a worker took it
    STEPPED = auto()  # a step began or ended
    POSTPONED = auto()  # it may pass later: locked, node ill, link lost
    RELEASED = auto()  # the worker gives it back because it stops
    DISPLACED = auto()  # the reserved place turned out to be taken; placed anew
    PLACED = auto()  # it waited for capacity and now has its place
    LOST = auto()  # the worker's lease ran out
    FINISHED = auto()  # the node shows what was ordered
    BROKEN = auto()  # no retry helps
    EXHAUSTED = auto()  # attempts or deadline used up, nothing irrevocable done
    EXPIRED = auto()  # its deadline passed before anything was begun
    CANCELLING = auto()  # cancel was asked for; acted upon at the next safe point
    WITHDRAWN = auto()  # taken back on request
    SUPERSEDED = auto()  # a later order made it pointless
    REVERTED = auto()  # all that was begun is undone
    IRREVOCABLE = auto()  # it was to be put back, but the node shows that only forward is right
    STRANDED = auto()  # failed after the pivot, or attempts used up there
    UNEXPECTED = auto()  # an answer nobody classified
    POISONED = auto()  # workers die of it
    NODE_LOST = auto()  # its node is gone for good
    GO_ON = auto()  # a person: try again
    PUT_BACK = auto()  # a person: undo it
    ACCEPTED_AS_IS = auto()  # a person: it is right as it is
    GIVEN_UP = auto()  # a person: given up


S, C = State, Cause
EDGES: dict[tuple[State, Cause], State] = {
    (S.QUEUED, C.PLACED): S.QUEUED,
    (S.QUEUED, C.DISPATCHED): S.DISPATCHED,
    (S.QUEUED, C.EXPIRED): S.FAILED,
    (S.QUEUED, C.EXHAUSTED): S.UNDOING,
    (S.QUEUED, C.STRANDED): S.STUCK,
    (S.QUEUED, C.WITHDRAWN): S.CANCELLED,  # nothing was begun
    (S.QUEUED, C.CANCELLING): S.UNDOING,  # something was begun by an earlier run
    (S.QUEUED, C.SUPERSEDED): S.CANCELLED,
    (S.QUEUED, C.DISPLACED): S.QUEUED,
    (S.QUEUED, C.NODE_LOST): S.FAILED,
    (S.DISPATCHED, C.UNCLAIMED): S.QUEUED,
    (S.DISPATCHED, C.CLAIMED): S.RUNNING,
    (S.DISPATCHED, C.WITHDRAWN): S.CANCELLED,
    (S.DISPATCHED, C.CANCELLING): S.UNDOING,
    (S.DISPATCHED, C.SUPERSEDED): S.CANCELLED,
    (S.RUNNING, C.STEPPED): S.RUNNING,
    (S.RUNNING, C.CANCELLING): S.RUNNING,
    (S.RUNNING, C.FINISHED): S.DONE,
    (S.RUNNING, C.POSTPONED): S.QUEUED,
    (S.RUNNING, C.RELEASED): S.QUEUED,
    (S.RUNNING, C.DISPLACED): S.QUEUED,
    (S.RUNNING, C.LOST): S.QUEUED,
    (S.RUNNING, C.BROKEN): S.UNDOING,
    (S.RUNNING, C.EXHAUSTED): S.UNDOING,
    (S.RUNNING, C.WITHDRAWN): S.UNDOING,
    (S.RUNNING, C.STRANDED): S.STUCK,
    (S.RUNNING, C.UNEXPECTED): S.STUCK,
    (S.RUNNING, C.POISONED): S.STUCK,
    (S.UNDOING, C.DISPATCHED): S.UNDOING,
    (S.UNDOING, C.UNCLAIMED): S.UNDOING,
    (S.UNDOING, C.CLAIMED): S.UNDOING,
    (S.UNDOING, C.STEPPED): S.UNDOING,
    (S.UNDOING, C.CANCELLING): S.UNDOING,
    (S.UNDOING, C.POSTPONED): S.UNDOING,
    (S.UNDOING, C.RELEASED): S.UNDOING,
    (S.UNDOING, C.LOST): S.UNDOING,
    (S.UNDOING, C.IRREVOCABLE): S.QUEUED,
    (S.UNDOING, C.REVERTED): S.FAILED,
    (S.UNDOING, C.WITHDRAWN): S.CANCELLED,
    (S.UNDOING, C.STRANDED): S.STUCK,
    (S.UNDOING, C.UNEXPECTED): S.STUCK,
    (S.UNDOING, C.POISONED): S.STUCK,
    (S.UNDOING, C.NODE_LOST): S.FAILED,
    (S.STUCK, C.GO_ON): S.QUEUED,
    (S.STUCK, C.PUT_BACK): S.UNDOING,
    (S.STUCK, C.ACCEPTED_AS_IS): S.DONE,
    (S.STUCK, C.GIVEN_UP): S.FAILED,
    (S.STUCK, C.DISPLACED): S.QUEUED,
    (S.STUCK, C.NODE_LOST): S.FAILED,
}
FINAL = frozenset(State) - {start for start, _ in EDGES}
LEASED = frozenset({S.DISPATCHED, S.RUNNING, S.UNDOING})  # states in which a lease may run


class NoSuchMove(Exception):
    """The table has no edge for this state and cause; somebody else moved the job meanwhile."""


def advance(state: State, cause: Cause) -> State:
    """Where `cause` leads from `state`; raises NoSuchMove where the table has no such edge."""
    try:
        return EDGES[state, cause]
    except KeyError:
        raise NoSuchMove(f"a {state} job cannot be {cause}") from None
