"""Each thing that can be in the way of a move has its name, and a sentence that says what to do."""

from dataclasses import replace
from typing import Any

import pytest

from workers.openvz.driver import Abilities, Sight
from workers.openvz.preflight import NodeFacts, Wish, refusals

pytestmark = pytest.mark.quick
GIB = 1 << 30
KEY = "ssh-ed25519 AAAA"
ABILITIES = Abilities(
    dialect="vzctl", version="4.11", openvz=True, vswap=True, ploop=True, checkpointing=True, kernel="2.6.32-042stab145.3", arch="x86_64", cpus=8,
    memory_bytes=64 * GIB, swap_bytes=0, disk_bytes=900 * GIB, disk_free_bytes=500 * GIB, inodes_free=9_000_000, memory_free_bytes=32 * GIB,
    time_s=1000, cpu_flags=("fpu", "sse2"),
)  # fmt: skip
SIGHT = Sight(ctid=101, exists=True, mounted=True, running=True, suspended=False, conf={"VE_LAYOUT": "simfs"}, private="full", half_made=False)
GONE = Sight(ctid=101, exists=False, mounted=False, running=False, suspended=False, conf=None, private="none", half_made=False)
SOURCE = NodeFacts(
    "n1", SIGHT, ABILITIES, cpt_version=4, caps_fit=True, service="running", dump_free_bytes=9 * GIB, memory_bytes=GIB, peer_keys=(KEY,), at_s=1000
)
TARGET = NodeFacts("n2", GONE, ABILITIES, cpt_version=4, service="running", dump_free_bytes=9 * GIB, at_s=1000)
WISH = Wish(101, online=True, running=True, ram_bytes=GIB, used_bytes=2 * GIB, addresses=("192.0.2.7",), name="web", host_key=KEY)
OTHER = replace(SIGHT, ctid=102, running=False, conf={"IP_ADDRESS": "192.0.2.7", "NAME": "web"})


def found(source: NodeFacts = SOURCE, target: NodeFacts = TARGET, others: tuple[Sight, ...] = (), **wish: Any) -> dict[str, str]:
    return {refusal.code: refusal.why for refusal in refusals(source, target, others, replace(WISH, **wish))}


def has(**fields: Any) -> Abilities:
    return replace(ABILITIES, **fields)


def test_nothing_is_in_the_way_of_a_sound_container_between_sound_nodes() -> None:
    assert found() == {}
    assert found(online=False) == {}


CASES: list[tuple[str, dict[str, Any]]] = [
    ("not-whole", {"source": replace(SOURCE, sight=replace(SIGHT, half_made=True))}),
    ("locked", {"source": replace(SOURCE, sight=replace(SIGHT, locked_by="pid 7, vzctl set 101"))}),
    ("aside", {"source": replace(SOURCE, sight=replace(SIGHT, aside="01JD0000000000000000000000"))}),
    ("not-running", {"source": replace(SOURCE, sight=replace(SIGHT, running=False))}),
    ("no-vzmigrate", {"source": replace(SOURCE, vzmigrate=False)}),
    ("mount", {"source": replace(SOURCE, mounts=("/vz/root/101/mnt nfs",))}),
    ("script", {"source": replace(SOURCE, scripts=("101.mount",))}),
    ("snapshot", {"source": replace(SOURCE, snapshots=2)}),
    ("session", {"source": replace(SOURCE, sessions=("4711",))}),
    ("user", {"user": "admin"}),
    ("service", {"target": replace(TARGET, service="stopped")}),
    ("disk", {"target": replace(TARGET, abilities=has(disk_free_bytes=2 * GIB))}),
    ("inodes", {"target": replace(TARGET, abilities=has(inodes_free=12))}),
    ("memory", {"target": replace(TARGET, abilities=has(memory_free_bytes=1 << 20))}),
    ("id", {"target": replace(TARGET, traces=("/vz/private/101",))}),
    ("address", {"others": (OTHER,), "name": None}),
    ("name", {"others": (OTHER,), "addresses": ()}),
    ("kernel", {"target": replace(TARGET, abilities=has(openvz=False, kernel="6.1.0"))}),
    ("machine", {"target": replace(TARGET, abilities=has(arch="i686"))}),
    ("vswap", {"target": replace(TARGET, abilities=has(vswap=False))}),
    ("clock", {"target": replace(TARGET, abilities=has(time_s=1009))}),
    ("ssh", {"source": replace(SOURCE, peer_keys=())}),
    ("host-key", {"source": replace(SOURCE, peer_keys=("ssh-ed25519 BBBB",))}),
    ("checkpoint", {"target": replace(TARGET, abilities=has(checkpointing=False))}),
    ("cpt-version", {"target": replace(TARGET, cpt_version=3)}),
    ("cpu", {"source": replace(SOURCE, caps_fit=False)}),
    ("cpu", {"source": replace(SOURCE, caps_fit=None), "target": replace(TARGET, abilities=has(cpu_flags=("fpu",)))}),
    ("dump-space", {"source": replace(SOURCE, dump_free_bytes=1 << 20)}),
    ("dump-space", {"target": replace(TARGET, dump_free_bytes=GIB)}),
]


@pytest.mark.parametrize(("code", "given"), CASES, ids=[code for code, _ in CASES])
def test_what_is_in_the_way_is_named_and_nothing_else(code: str, given: dict[str, Any]) -> None:
    assert list(found(**given)) == [code]


def test_ploop_needs_ploop() -> None:
    ploop = replace(SOURCE, sight=replace(SIGHT, conf={"VE_LAYOUT": "ploop:expanded"}))
    assert list(found(source=ploop, target=replace(TARGET, abilities=has(ploop=False)))) == ["layout"]


def test_what_only_processes_need_does_not_bar_an_offline_move() -> None:
    target = replace(TARGET, cpt_version=3, dump_free_bytes=0, abilities=has(checkpointing=False, cpu_flags=("fpu",)))
    assert found(source=replace(SOURCE, caps_fit=False), target=target, online=False) == {}


def test_one_that_is_suspended_to_a_dump_moves_offline_only() -> None:
    suspended = replace(SOURCE, sight=replace(SIGHT, running=False, suspended=True))
    assert list(found(source=suspended)) == ["suspended"]
    assert found(source=suspended, online=False) == {}


def test_clocks_that_were_asked_at_different_moments_are_not_apart() -> None:
    assert found(target=replace(TARGET, abilities=has(time_s=1060), at_s=1060)) == {}


def test_all_of_it_is_told_at_once() -> None:
    target = replace(TARGET, service="stopped", traces=("/vz/private/101",), abilities=has(disk_free_bytes=0))
    assert list(found(target=target)) == ["service", "disk", "id"]
