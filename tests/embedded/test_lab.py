"""Labs on one machine keep out of each other's addresses."""

import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from producers.embedded.lab import BLOCK, BLOCKS, free_block, listened

HERE = Path("/var/lib/vzq")
pytestmark = pytest.mark.quick


def test_a_state_folder_gets_the_same_block_each_time() -> None:
    first, last = free_block(HERE, set())
    assert (first, last) == free_block(HERE, set())
    assert int(first) in BLOCKS
    assert int(last) - int(first) == BLOCK - 1


def test_a_block_in_which_somebody_listens_is_left_to_them() -> None:
    first, last = free_block(HERE, set())
    for taken in (first, last, first + 100):
        other, end = free_block(HERE, {taken, IPv4Address("127.0.0.1")})
        assert int(other) in BLOCKS
        assert other != first
        assert not other <= taken <= end


def test_the_last_block_is_followed_by_the_first() -> None:
    block, _ = free_block(HERE, {IPv4Address(first) for first in BLOCKS} - {IPv4Address(BLOCKS[0])})
    assert int(block) == BLOCKS[0]


def test_where_all_are_taken_labs_share() -> None:
    assert free_block(HERE, {IPv4Address(first) for first in BLOCKS}) == free_block(HERE, set())


def test_who_listens_is_seen_by_the_address() -> None:
    with socket.create_server(("127.90.7.5", 0)):
        assert IPv4Address("127.90.7.5") in listened()
    assert IPv4Address("127.90.7.5") not in listened()
