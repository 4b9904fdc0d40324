"""What passed through containers: read from the node's /proc, and kept as counters that only grow."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Unexpected
from models.fleet import Container, ContainerState
from tests.openvz.bench import SHELLS, Bench, make_bench
from tests.stand_ins import NOON
from workers.commands import Finished
from workers.openvz.driver import Flow
from workers.openvz.sights import read_traffic
from workers.traffic import NO_INIT, NO_INTERFACE, count

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999       9    0    0    0     0          0         0     9999       9    0    0    0     0       0          0
venet0:{received} 5 0 0 0 0 0 0 {sent} 6 0 0 0 0 0 0
  tun0:    7777       9    0    0    0     0          0         0     7777       9    0    0    0     0       0          0
"""


@pytest.fixture(params=SHELLS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if shutil.which(SHELLS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not on this machine")
    return make_bench(tmp_path / "node", request.param)


def init(bench: Bench, pid: int, text: str, *, born: int = 77, status: str = "") -> None:
    proc = bench.root / f"proc/{pid}"
    (proc / "net").mkdir(parents=True)
    (proc / "net/dev").write_text(text)
    (proc / "stat").write_text(f"{pid} (a (b) init) S " + "0 " * 18 + f"{born} 4 5\n")
    if status:
        (proc / "status").write_text(status)


def note(bench: Bench, ctid: int | str, text: str) -> None:
    folder = bench.root / "var/lib/vzctl/vepid"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(ctid)).write_text(text)


def flows(bench: Bench) -> dict[int, Flow]:
    answer = bench.run("traffic")
    assert (answer.code, answer.err) == (0, "")
    return read_traffic(answer)


def test_the_containers_own_interfaces_are_counted_and_no_others(bench: Bench) -> None:
    init(bench, 4242, DEV.format(received=1234567890123, sent=42))
    note(bench, 101, "4242\n")
    assert flows(bench) == {101: Flow("11111111.4242.77", 1234567890123, 42, ("venet0",))}


def test_an_openvz_kernel_tells_whose_init_it_is(bench: Bench) -> None:
    init(bench, 500, DEV.format(received=5, sent=6), status="Name:\tinit\nPid:\t500\nenvID:\t102\nVPid:\t1\n")
    init(bench, 501, DEV.format(received=7, sent=8), status="Name:\tsshd\nPid:\t501\nenvID:\t102\nVPid:\t30\n")
    init(bench, 1, DEV.format(received=9, sent=9), status="Name:\tinit\nPid:\t1\nenvID:\t0\nVPid:\t1\n")
    assert flows(bench) == {102: Flow("11111111.500.77", 5, 6, ("venet0",))}


def test_what_is_odd_costs_itself_only(bench: Bench) -> None:
    init(bench, 4242, DEV.format(received=1, sent=2))
    note(bench, 101, "4242")  # without a line end
    note(bench, 102, "4243\n")  # has gone
    note(bench, 103, "nonsense; reboot\n")
    note(bench, "104.x", "4242\n")
    note(bench, 105, "")
    init(bench, 4250, "no head\nvenet0: x y\n eth0:1 2\n")
    note(bench, 106, "4250\n")
    assert flows(bench) == {101: Flow("11111111.4242.77", 1, 2, ("venet0",)), 106: Flow("11111111.4250.77", 0, 0, ())}


def test_a_process_in_the_nodes_own_network_is_no_container(bench: Bench) -> None:
    init(bench, 1, DEV.format(received=9, sent=9))
    init(bench, 4242, DEV.format(received=9, sent=9))
    note(bench, 101, "4242\n")
    for pid in (1, 4242):
        (bench.root / f"proc/{pid}/ns").mkdir()
        (bench.root / f"proc/{pid}/ns/net").symlink_to(bench.root / "proc")
    assert flows(bench) == {}


@pytest.mark.quick
def test_an_answer_that_is_cut_off_is_not_understood() -> None:
    with pytest.raises(Unexpected):
        read_traffic(Finished(0, "vzq-ct1 traffic\nct=101 life=1.2.3 in=1 out=2 by=venet0", ""))


def row(node: str = "n1") -> Container:
    return Container(ctid=101, node=node, site="main", state=ContainerState.PRESENT, since=NOON)


def look(container: Container, life: str, passed: int) -> None:
    count(container, Flow(life, passed, 2 * passed, ("venet0",)), running=True)


@pytest.mark.quick
def test_counters_go_on_over_restarts_and_moves() -> None:
    container = row()
    assert (container.net_in_bytes, container.net_why) == (None, "not looked at yet")
    for node, life, passed, total in [
        ("n1", "a", 100, 100), ("n1", "a", 150, 150), ("n1", "a", 150, 150), ("n1", "b", 30, 180), ("n1", "b", 50, 200), ("n2", "c", 10, 210),
        ("n1", "d", 40, 240), ("n1", "d", 45, 245),
    ]:  # fmt: skip
        container.node = node
        look(container, life, passed)
        assert (container.net_in_bytes, container.net_why) == (total, "")


@pytest.mark.quick
def test_a_counter_of_32_bits_that_wraps_goes_on() -> None:
    container = row()
    look(container, "a", 2_000_000_000)
    count(container, Flow("a", 2_000_000_100, 5, ("venet0",)), running=True)
    assert (container.net_in_bytes, container.net_out_bytes) == (2_000_000_100, 4_000_000_000 + (1 << 32) - 4_000_000_000 + 5)


@pytest.mark.quick
def test_what_nobody_counts_is_null_with_the_reason_and_never_0() -> None:
    container = row()
    count(container, None, running=True)
    assert (container.net_in_bytes, container.net_why) == (None, NO_INIT)
    count(container, Flow("a", 0, 0, ()), running=True)
    assert (container.net_in_bytes, container.net_why) == (None, NO_INTERFACE)
    look(container, "a", 7)
    count(container, None, running=False)
    assert (container.net_in_bytes, container.net_why) == (7, "")


@pytest.mark.quick
@given(st.lists(st.tuples(st.sampled_from(["n1", "n2"]), st.sampled_from("abc"), st.integers(0, 1 << 40)), max_size=12))
def test_counters_never_shrink(looks: list[tuple[str, str, int]]) -> None:
    container = row()
    before = 0
    for node, life, passed in looks:
        container.node = node
        look(container, life, passed)
        assert container.net_in_bytes is not None
        assert container.net_in_bytes >= before
        before = container.net_in_bytes
