"""What can stop a job, told apart by what to do next and not by where it came from.

JobError
├── Retryable     nothing was changed; may pass later (`after`)
│   ├── Locked        somebody else works on the container; waiting burns no attempt
│   └── NodeFault     the node itself is ill: its breaker opens, the job waits and burns no attempt
│       └── Unreachable   the node does not answer at all
├── Permanent     nothing was changed; no retry helps: undo what went before
│   ├── Concluded     it ran to its end or was skipped, and `result` says how
│   └── Taken         what was reserved turns out to belong to somebody else on the node
│       └── AddressTaken  only the address: it is barred, and the order takes another one
├── AlreadyDone   the node is as asked already
├── Unsure        the link died: it may have run; attach and look before the next call
├── Stale         a newer worker has the job: drop everything, write nothing
├── Withdrawn     cancel was asked for: undo what was begun
├── Irrevocable   the node shows that there is no way back any more: go forward
└── Unexpected    nobody knows what this answer means: the job is stuck until a person looks
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

UNREACHABLE = "unreachable"  # the finding of a node that does not answer


class JobError(Exception):
    """Root of all that can stop a job; its text is one plain sentence for the operator."""

    @property
    def why(self) -> str:
        """The sentence for the operator."""
        return str(self)


class Retryable(JobError):
    """Nothing was changed and the same call may pass later, e.g. another vzctl holds the lock."""

    def __init__(self, why: str, *, after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(why)
        self.after = after


class Locked(Retryable):
    """Another command holds the container's lock; the deadline bounds the waiting, not the attempts."""

    def __init__(self, why: str, *, after: timedelta = timedelta(seconds=2)) -> None:
        super().__init__(why, after=after)


class NodeFault(Retryable):
    """The node cannot do its work (disk full, vz service down); `finding` names the fault in a word or two."""

    def __init__(self, why: str, *, finding: str, after: timedelta = timedelta(seconds=15)) -> None:
        super().__init__(why, after=after)
        self.finding = finding
        self.node = ""  # which one, where a job has to do with two


@contextmanager
def fault_of(node: str) -> Iterator[None]:
    """Where a job has to do with two nodes: the breaker of this one opens, not of the other."""
    try:
        yield
    except NodeFault as fault:
        fault.node = fault.node or node
        raise


class Unreachable(NodeFault):
    """No SSH session with the node could be had; nothing was sent."""

    def __init__(self, why: str, *, after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(why, finding=UNREACHABLE, after=after)


class Permanent(JobError):
    """Nothing was changed and no retry will help, e.g. the template does not exist."""


class Concluded(Permanent):
    """What was ordered is over without being done: it ran inside and failed, or was skipped. `result` is kept with the job."""

    def __init__(self, why: str, *, result: Mapping[str, Any]) -> None:
        super().__init__(why)
        self.result = dict(result)


class Taken(Permanent):
    """The container id, name or address that was reserved is in use on the node by somebody else."""


class AddressTaken(Taken):
    """Somebody else uses an address that was reserved: a container of the node, or another machine of its network."""

    def __init__(self, why: str, *, addresses: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.addresses = addresses  # as far as the node named them


class AlreadyDone(JobError):
    """The node is as asked already; counted as success and never undone."""


class Unsure(JobError):
    """The command may or may not have run (link lost, time-out): attach and look before the next call."""


class Stale(JobError):
    """This worker's token or lease is over: another worker may have the job. Stop touching nodes, write nothing.

    `highest` is the token that a node remembers, when it was a node that refused ours.
    """

    def __init__(self, why: str, *, highest: int = 0) -> None:
        super().__init__(why)
        self.highest = highest


class Irrevocable(JobError):
    """It was to be put back, but the node shows that the pivot is passed: it goes forward."""


class Unexpected(JobError):
    """An answer nobody classified; `signature` groups equal ones (command, code, text without numbers)."""

    def __init__(self, why: str, *, signature: str) -> None:
        super().__init__(why)
        self.signature = signature


class Withdrawn(JobError):
    """Cancel was asked for and a safe point is reached: what was begun goes back."""
