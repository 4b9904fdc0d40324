"""`python -m tests.crash --cases 1000 --seed 1`: that many drawn cases; `--replay SEED` plays one and tells its story."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.crash.faults import Case, drawn
from tests.crash.house import make_ground
from tests.crash.play import Played, play

QUICKEST = Path("/dev/shm")  # a commit waits for no disk there


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="how many (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="of the first one; the others follow (default 1)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="only this one, with its story")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(dir=QUICKEST if QUICKEST.is_dir() else None, prefix="vzq-crash-") as folder:
        ground = make_ground(Path(folder))
        points = len(play(ground, Case(0)).points)
        if wanted.replay is not None:
            return _tell(play(ground, drawn(wanted.replay, points)), story=True)
        begun, bad = time.monotonic(), 0
        for seed in range(wanted.seed, wanted.seed + wanted.cases):
            bad += _tell(play(ground, drawn(seed, points)), story=False)
    print(f"{wanted.cases} cases, {bad} violations ({time.monotonic() - begun:.0f} s)")
    return 1 if bad else 0


def _tell(played: Played, *, story: bool) -> int:
    if story:
        print("\n".join([str(played.case), *played.story, f"→ {played.state}"]))
    for violation in played.violations:
        print(f"seed {played.case.seed}: {violation}\n  again: python -m tests.crash --replay {played.case.seed}")
    return 1 if played.violations else 0


if __name__ == "__main__":
    sys.exit(main())
