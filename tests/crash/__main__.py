"""`python -m tests.crash --cases 1000 --seed 1`: that many drawn cases, on all cores; `--replay SEED` plays one and tells its story;
`--mutants` plays builds that lack a guard, each of which must be caught."""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from models.database import Database
from tests import servers
from tests.crash.broken import MUTANTS, caught_by
from tests.crash.crowd import many, players
from tests.crash.play import Played
from tests.crash.rounds import WithoutLock, overbooked
from tests.crash.scenes import SCENES

LOCKLESS = "a dispatcher round without lock"
EVERY_S = 15.0  # a line of progress


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="how many (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="of the first one; the others follow (default 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many play at once (default: one a core)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="only this one, with its story")
    parser.add_argument("--mutants", action="store_true", help="builds that lack a guard instead")
    wanted = parser.parse_args()
    if wanted.replay is not None:
        return _tell(players().play(wanted.replay), story=True)
    if wanted.mutants:
        return _mutants()
    return _many(wanted.cases, wanted.seed, wanted.processes)


def _many(cases: int, first: int, processes: int) -> int:
    begun = told = time.monotonic()
    bad, played, struck, hows, states = 0, 0, set(), Counter[str](), Counter[str]()
    for one in many(range(first, first + cases), processes):
        played += 1
        bad += _tell(one, story=False)
        states[one.state] += 1
        hows.update(fault.how for fault in one.case.faults)
        struck.update((one.case.scene.name, fault.at) for fault in one.case.faults[:1])
        if time.monotonic() - told > EVERY_S:
            told = time.monotonic()
            print(f"… {played} of {cases}, {bad} violations, {played / (told - begun):.0f} a second", flush=True)
    seconds = time.monotonic() - begun
    print(
        f"scenes {len(SCENES)} · first faults at {len(struck)} different points · "
        + ", ".join(f"{how} {times}" for how, times in sorted(hows.items()))
    )
    print(
        f"ends: {', '.join(f'{state} {times}' for state, times in sorted(states.items()))} · {seconds:.0f} s, {played / seconds:.1f} cases a second"
    )
    print(f"{played} cases, {bad} violations")
    return 1 if bad else 0


def _mutants() -> int:
    caught = 0
    for mutant in MUTANTS:
        seen = caught_by(players().ground, mutant)
        caught += bool(seen)
        print(f"{'caught' if seen else 'NOT CAUGHT'}  {mutant.name}: {seen[:140]}", flush=True)
    seen = _without_lock()
    caught += bool(seen)
    print(f"{'caught' if seen else 'NOT CAUGHT'}  {LOCKLESS}: {seen[:140]}")
    print(f"{caught} of {len(MUTANTS) + 1} broken builds caught")
    return 0 if caught == len(MUTANTS) + 1 else 1


def _without_lock() -> str:
    """What two rounds at once do wrong without the lock between them, on a PostgreSQL of our own."""
    with tempfile.TemporaryDirectory(prefix="vzqm-", dir="/tmp", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o711)  # PostgreSQL runs as nobody where we are root
        (folder / "p").mkdir()
        process, url = servers.start_postgres(folder / "p")
        try:
            database = Database(url)
            database.upgrade()
            database.close()
            return overbooked(url, folder, WithoutLock)
        finally:
            servers.stop(process)


def _tell(played: Played, *, story: bool) -> int:
    if story:
        print("\n".join([str(played.case), *played.story, f"→ {played.state}"]))
    for violation in played.violations:
        print(
            f"seed {played.case.seed} ({played.case.scene.name}): {violation}\n  again: python -m tests.crash --replay {played.case.seed}", flush=True
        )
    return 1 if played.violations else 0


if __name__ == "__main__":
    sys.exit(main())
