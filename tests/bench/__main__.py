"""`python -m tests.bench`: measure, print tables, assert nothing by the clock. How to read them: ops/docs/benchmarks.md."""

import argparse
import logging
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from tests.bench import accept, durable, execs, fanout, latency, memory, moves, rounds
from tests.bench.figures import Report, write_json
from tests.bench.surroundings import Place, place

Benchmark = Callable[[Place, int], Report]
FULL: dict[str, Benchmark] = {
    "latency": partial(latency.run, orders=60, nodes=3),
    "durable": partial(durable.run, jobs=2000, singly=400),
    "fanout": partial(fanout.run, commands=300, nodes=10),
    "exec": partial(execs.run, containers=300, nodes=10),
    "move": partial(moves.single, moves=6, speed=1),
    "evacuate": partial(moves.emptying, containers=30, speed=1),
    "rounds": partial(rounds.run, jobs=1_000_000, nodes=10_000, dispatches=20),
    "accept": partial(accept.run, orders=1000),
    "memory": partial(memory.run, jobs=1000),
}
QUICK: dict[str, Benchmark] = {
    "latency": partial(latency.run, orders=2, nodes=1),
    "durable": partial(durable.run, jobs=40, singly=5),
    "fanout": partial(fanout.run, commands=10, nodes=2),
    "exec": partial(execs.run, containers=10, nodes=2),
    "move": partial(moves.single, moves=1, speed=0.1),
    "evacuate": partial(moves.emptying, containers=2, speed=0.1),
    "rounds": partial(rounds.run, jobs=500, nodes=20, dispatches=3),
    "accept": partial(accept.run, orders=20),
    "memory": partial(memory.run, jobs=20),
}


def main(words: list[str]) -> int:
    given = _parser().parse_args(words)
    chosen = dict(QUICK if given.quick else FULL)
    if given.jobs is not None:
        nodes, dispatches = (20, 3) if given.quick else (10_000, 20)
        chosen["rounds"] = partial(rounds.run, jobs=given.jobs, nodes=nodes, dispatches=dispatches)
    if given.containers is not None:
        chosen["evacuate"] = partial(chosen["evacuate"], containers=given.containers)
    unknown = set(given.only) - set(chosen)
    if unknown:
        print(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(chosen)}", file=sys.stderr)
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # no line for each command asked of a node
    reports = []
    print(f"{machine()}; load {load()}", flush=True)
    for name in given.only or chosen:
        with place() as somewhere:
            reports.append(chosen[name](somewhere, given.rounds))
        print(f"\n{reports[-1].text()}\nload {load()}", flush=True)
        if given.json:
            write_json(reports, given.json, machine=machine(), rounds=given.rounds, load=load())
    return 0


def machine() -> str:
    """What the figures were measured on."""
    system = next((line.partition("=")[2].strip('"') for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME=")), platform.system())
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def load() -> str:
    """How busy the machine is: of 1 and of 5 minutes."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} {five:.1f}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    made.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="A,B", help=f"of {', '.join(FULL)}")
    made.add_argument("--rounds", type=int, default=3, help="how often each contender has its turn (default 3)")
    made.add_argument("--json", type=Path, metavar="FILE", help="keep every round's figures")
    made.add_argument("--jobs", type=int, help="ended jobs in the full database of `rounds` (default 1 000 000)")
    made.add_argument("--containers", type=int, help="that `evacuate` moves (default 30)")
    made.add_argument("--quick", action="store_true", help="tiny numbers: shows that it works, measures nothing")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
