"""Many cases on all cores: each process has a ground of its own."""

import models.garbage  # noqa: F401, I001 - as the worker

import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import structlog

from tests.crash.faults import Case, drawn
from tests.crash.house import Ground, make_ground
from tests.crash.play import Played, play
from tests.crash.scenes import Scene

QUICKEST = Path("/dev/shm")  # a commit waits for no disk there
AT_ONCE = 25  # cases that one process plays before it reports


class Players:
    """What each process plays on: a ground of its own, and how many points each scene has."""

    def __init__(self) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        self._folder = tempfile.TemporaryDirectory(dir=QUICKEST if QUICKEST.is_dir() else None, prefix="vzq-crash-")
        self.ground: Ground = make_ground(Path(self._folder.name))
        self.points = cache(self._points)

    def _points(self, scene: Scene) -> list[str]:
        return play(self.ground, Case(0, scene=scene)).points

    def play(self, seed: int) -> Played:
        """The case of this seed."""
        return play(self.ground, drawn(seed, self.points))


@cache
def players() -> Players:
    """Of this process."""
    return Players()


def _played(seeds: range) -> list[Played]:
    return [players().play(seed) for seed in seeds]


def many(seeds: range, processes: int) -> Iterator[Played]:
    """The cases of these seeds, as they come to their ends."""
    chunks = [seeds[place : place + AT_ONCE] for place in range(0, len(seeds), AT_ONCE)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:  # it says so when a process dies
        for chunk in as_completed([pool.submit(_played, chunk) for chunk in chunks]):
            yield from chunk.result()
