"""Where something goes wrong, and what: a case is a scene and a list of these, and the same seed gives the same case."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.crash.node import CODES
from tests.crash.scenes import SCENES, Scene

HOWS = {  # what may happen at a point, and how often it is drawn
    "die": 8,  # the worker is gone at this instruction
    "die-soon": 3,  # the worker is gone `seconds` later, perhaps while it waits for a command
    "slow": 3,  # what is started next on the node takes `seconds` longer between any two of its moments
    "freeze": 4,  # the worker stands still for `seconds`, longer than its lease, and then goes on
    "cut-off": 2,  # this worker alone cannot reach the database, for `seconds`
    "mute": 2,  # containers answer nothing for `seconds`, as if they took long to boot
    "lag": 1,  # every word to a node takes two seconds more, for `seconds`
    "cut": 3,  # the link is dead: before the request nothing is sent, after it the answer is lost
    "torn": 3,  # the link dies in the middle: of the request, so that nothing begins, or of the output
    "late": 3,  # the link dies, and the request reaches the node `seconds` later all the same
    "unanswered": 3,  # the database committed, but the answer was lost
    "database-away": 2,  # for `seconds`
    "kill-command": 4,  # what is started next on the node is killed `seconds` after its start; `word`: this step only; another mishap behind a colon
    "kill-keeper": 2,  # vzq-run's keeper of it is killed: it goes on and nobody writes down how it ends
    "kill-runner": 3,  # the next vzq-run is killed, `word`: before it starts anything, or before it answers
    "code": 4,  # what is started next on the node ends with `word`'s exit code
    "plague": 1,  # as `code`, twelve times
    "reboot": 2,
    "reboot-one": 2,  # of the two nodes only `word`
    "stranger": 2,  # an administrator takes the id, if nothing is there
    "cancel": 3,  # somebody asks for the job back
    "old-bells": 2,  # every message that was ever sent comes once more
    "hand-over": 2,  # the worker gets SIGTERM
    "service-dies": 3,  # the dispatcher is gone at this instruction of a round
    "bells-lost": 2,  # Redis loses what the round sends
    "bells-late": 1,  # it comes `seconds` later
    "bells-twice": 1,
}  # fmt: skip

HARM = ("die", "die-soon", "freeze", "database-away", "unanswered", "hand-over", "lag", "cut-off")  # after these a worker may be called dead
OF_ROUNDS = ("service-dies", "bells-lost", "bells-late", "bells-twice")  # befall the dispatcher, at its own points
# These touch workers, messages and links only: whatever they do, no command takes its effect twice.
HARMLESS_ON_NODES = frozenset(
    {
        "die",
        "die-soon",
        "slow",
        "freeze",
        "lag",
        "cut-off",
        "mute",
        "cut",
        "torn",
        "late",
        "unanswered",
        "database-away",
        "old-bells",
        "hand-over",
        *OF_ROUNDS,
    }
)
SPANS: dict[str, tuple[float, ...]] = {
    "slow": (1.0, 3.0, 10.0),
    "freeze": (6.0, 20.0, 45.0),
    "lag": (30.0, 90.0),
    "cut-off": (6.0, 20.0, 45.0),
    "mute": (5.0, 20.0, 60.0),
    "late": (0.0, 0.3, 2.0, 30.0),
    "database-away": (3.0, 12.0, 30.0),
    "bells-late": (1.0, 15.0, 60.0),
}


@dataclass(frozen=True)
class Fault:
    """What happens when the house comes to its `at`-th point."""

    at: int
    how: str
    seconds: float = 0.0
    word: str = ""  # of `code` and `plague`: which class; the step may follow behind a colon; of others see HOWS


@dataclass(frozen=True)
class Case:
    """One order, and all that befalls it."""

    seed: int
    faults: Sequence[Fault] = ()
    scene: Scene = SCENES[0]
    choices: Sequence[str] = ("go-on", "put-back", "go-on")  # what a person decides, should it get stuck


def drawn(seed: int, points: Callable[[Scene], Sequence[str]]) -> Case:
    """The case of this seed: one to three faults. Scenes, and the first fault's points, come in turn, so that none is left out."""
    rng = random.Random(seed)
    scene = SCENES[seed % len(SCENES)]
    passed = points(scene)
    steps = sorted({step for name in passed if (step := name.partition(" step ")[2])})
    faults = []
    at = 0
    for number in range(rng.choice((1, 1, 2, 2, 3))):
        how = rng.choices(list(HOWS), list(HOWS.values()))[0]
        at = seed // len(SCENES) % len(passed) if number == 0 else at + rng.randrange(1, 20)
        seconds = rng.choice(SPANS.get(how, (0.0, 0.1, 0.3, 1.0, 3.4)))
        word = ""
        if how in ("code", "plague"):
            word = rng.choice(list(CODES["vzctl"])) + ":" + rng.choice(("", *steps))
        elif how == "kill-runner":
            word = rng.choice(("early", "late"))
        elif how == "reboot-one":
            word = rng.choice(("n1", "n2"))
        faults.append(Fault(at, how, seconds, word))
    choices = tuple(rng.choice(("go-on", "put-back")) for _ in range(8))
    return Case(seed, tuple(sorted(faults, key=lambda fault: fault.at)), scene, choices)
