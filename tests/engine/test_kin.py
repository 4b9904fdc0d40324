"""Who may call a worker of this host dead: real process numbers, no process of ours."""

import os
import subprocess
import sys

import pytest

from tests.engine.conftest import House
from workers import kin

pytestmark = pytest.mark.quick


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def buried(house: House, pid: int, parent: int | None = None) -> int:
    """How many jobs are freed of a worker with that number that has one."""
    here = kin.name(house.clock).rsplit("/", 2)[0]
    worker = f"{here}/{pid}/1" + (f".{parent}" if parent is not None else "")
    house.worker(worker)
    job = house.check()
    house.go_round()
    assert house.claim(house.claims(worker), job.id) is not None
    with house.database.write() as session:
        return kin.bury(house.database, session, f"{here}/1/1")


def test_a_dead_workers_job_is_free_at_once(house: House, gone: int) -> None:
    assert buried(house, gone) == 1


def test_a_living_workers_job_is_not(house: House) -> None:
    assert buried(house, os.getpid()) == 0


def test_what_a_job_died_of_alone_is_for_its_parent_to_say(house: House, gone: int) -> None:
    assert buried(house, gone, os.getpid()) == 0


def test_a_job_whose_process_died_with_its_parent_is_free_at_once(house: House, gone: int) -> None:
    assert buried(house, gone, gone) == 1


def test_a_solos_name_says_whose_it_is(house: House) -> None:
    assert kin.name(house.clock, solo=True).endswith(f".{os.getppid()}")
