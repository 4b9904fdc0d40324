"""An address of the loopback for each test process."""

import itertools

import pytest

NUMBERS = itertools.count(1)


@pytest.fixture
def address(worker_id: str) -> str:
    """One that no other test of this run has; labs take theirs from 127.64.0.0/10."""
    worker = 99 if worker_id == "master" else int(worker_id.removeprefix("gw"))
    return f"127.199.{worker}.{next(NUMBERS) % 120 * 2}"
