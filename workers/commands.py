"""What is asked of a node and what came back: the two values every layer between plan and wire passes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Command:
    """One command for a node: words only, nothing runs here."""

    name: str  # what it is judged by, e.g. "create"; exit codes are read by name and code together (facts §3)
    argv: Sequence[str]  # an argument list; quoted for a shell in workers/transport/ssh.py and nowhere else
    stdin: bytes = field(default=b"", repr=False)  # may be a secret: never logged, never part of argv
    timeout: timedelta = timedelta(minutes=15)  # after this the step is cancelled on the node


@dataclass(frozen=True)
class Finished:
    """A command that ended by itself, with an exit code."""

    code: int
    out: str
    err: str
    seconds: float = 0.0
