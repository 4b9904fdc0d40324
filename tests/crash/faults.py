"""Where something goes wrong, and what: a case is a list of these, and the same seed gives the same case."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

CODES = {
    "vzctl": {"permanent": 91, "retryable": 6, "node-fault": 46, "locked": 9, "unexpected": 200},
    "exec2": {"permanent": 1, "retryable": 6, "node-fault": 5, "locked": 7, "unexpected": 200},
    "vzq-ct": {"permanent": 66, "retryable": 75, "node-fault": 74, "locked": 9, "unexpected": 99},
}
STEPS = ("plant", "make", "limits", "identity", "addresses", "start", "password", "hand-over", "stop", "umount", "destroy", "clean", "unplant")

HOWS = {  # what may happen at a point, and how often it is drawn
    "die": 6,  # the worker is gone at this instruction
    "die-soon": 3,  # the worker is gone `seconds` later, perhaps while it waits for a command
    "slow": 3,  # what is started next on the node takes three times `seconds` longer
    "freeze": 4,  # the worker stands still for `seconds`, longer than its lease, and then goes on
    "cut": 3,  # the link dies; whether the request has reached the node follows from the point
    "late": 3,  # the link dies, and the request reaches the node `seconds` later all the same
    "unanswered": 3,  # the database committed, but the answer was lost
    "database-away": 2,  # for `seconds`
    "kill-command": 4,  # what is started next on the node is killed `seconds` after its start
    "code": 4,  # what is started next on the node ends with `word`'s exit code
    "plague": 1,  # as `code`, twelve times
    "reboot": 2,
    "stranger": 2,  # an administrator takes the id, if nothing is there yet
    "cancel": 2,  # somebody asks for the job back
    "old-bells": 2,  # every message that was ever sent comes once more
    "hand-over": 1,  # the worker gets SIGTERM
}  # fmt: skip

HARM = ("die", "die-soon", "freeze", "database-away", "unanswered", "hand-over")  # after these a worker may be called dead


@dataclass(frozen=True)
class Fault:
    """What happens when the house comes to its `at`-th point."""

    at: int
    how: str
    seconds: float = 0.0
    word: str = ""  # of `code` and `plague`: which class; the step may follow behind a colon


@dataclass(frozen=True)
class Case:
    """One order, and all that befalls it."""

    seed: int
    faults: Sequence[Fault] = ()
    password: bool = True
    own_ctid: bool = False  # the order names its id
    choices: Sequence[str] = field(default=("go-on", "put-back", "go-on"))  # what a person decides, should it get stuck


def drawn(seed: int, points: int) -> Case:
    """The case of this seed: one to three faults somewhere among the first `points` points, more where it goes on."""
    rng = random.Random(seed)
    faults = []
    at = 0
    for number in range(rng.choice((1, 1, 2, 2, 3))):
        how = rng.choices(list(HOWS), list(HOWS.values()))[0]
        at = rng.randrange(points) if number == 0 else at + rng.randrange(1, 20)
        seconds = {
            "slow": rng.choice((3.0, 9.0, 30.0)),
            "freeze": rng.choice((6.0, 20.0, 45.0)),
            "late": rng.choice((0.0, 0.3, 2.0, 30.0)),
            "database-away": rng.choice((3.0, 12.0, 30.0)),
        }
        word = rng.choice(list(CODES["vzctl"])) + ":" + rng.choice(("", *STEPS))
        faults.append(Fault(at, how, seconds.get(how, rng.choice((0.0, 0.1, 0.3, 1.0, 3.4))), word if how in ("code", "plague") else ""))
    choices = tuple(rng.choice(("go-on", "put-back")) for _ in range(8))
    return Case(seed, tuple(sorted(faults, key=lambda fault: fault.at)), rng.random() < 0.6, rng.random() < 0.25, choices)
