"""The comparison alone: a table of what is seen and what is concluded, and what must hold for whatever a node shows."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import Container, ContainerState
from models.orders import ORDER
from models.standing import Standing
from tests.stand_ins import NOON
from workers.drift import Books, compare, strangers
from workers.openvz.driver import Sight
from workers.openvz.vzctl import Vzctl

pytestmark = pytest.mark.quick
JOB, OTHER = "01JD0000000000000000000000", "01JD0000000000000000000001"
GIB = 1 << 30
CONF = {
    "X_VZQ_JOB": JOB, "PHYSPAGES": "0:262144", "SWAPPAGES": "0:0", "DISKSPACE": "2097152:2097152", "CPUS": "1", "CPUUNITS": "1000", "ONBOOT": "yes",
    "HOSTNAME": "a.example", "IP_ADDRESS": "10.0.0.1",
}  # fmt: skip
DRIVER = Vzctl()


def sight(ctid: int = 1001, **given: Any) -> Sight:
    fields: dict[str, Any] = {"mounted": True, "running": True, "suspended": False, "conf": CONF, "private": "full", "half_made": False}
    fields |= given
    return Sight(ctid=ctid, exists=fields["conf"] is not None and fields["private"] != "none", **fields)


def row(ctid: int = 1001, **given: Any) -> Container:
    fields: dict[str, Any] = {
        "node": "n1", "site": "main", "state": ContainerState.PRESENT, "hostname": "a.example", "ram_bytes": GIB, "disk_bytes": 2 * GIB, "cpus": 1,
        "cpuunits": 1000, "job_id": JOB, "since": NOON,
    }  # fmt: skip
    return Container(ctid=ctid, **(fields | given))


def books(*rows: Container, **given: Any) -> Books:
    fields: dict[str, Any] = {"containers": {one.ctid: one for one in rows}, "addresses": {one.ctid: ["10.0.0.1"] for one in rows}}
    fields |= {"pooled": lambda address: address.startswith("10.")}
    return Books("n1", **(fields | given))


def conf(**changes: str | None) -> dict[str, str]:
    return {key: value for key, value in (CONF | changes).items() if value is not None}


NOTHING = sight(conf=None, private="none", running=False, mounted=False)
DOWN = {"running": False, "mounted": False}
LOCKED = sight(conf=None, private="none", stale_lock=True, **DOWN)
LEFT = sight(conf=None, private="none", half_made=True, left_by=JOB, **DOWN)
STARTABLE = sight(conf=conf(ONBOOT="no"), **DOWN)
CASES: dict[str, tuple[list[Sight], Books, dict[str, str | None]]] = {
    "as it should be": ([sight()], books(row()), {}),
    "a stranger": ([sight(conf=conf(X_VZQ_JOB=None))], books(addresses={}), {"unknown-container": "adopt-container"}),
    "a barred id": ([sight()], books(row(state=ContainerState.FOREIGN)), {"unknown-container": "adopt-container"}),
    "a reservation": ([], books(row(state=ContainerState.RESERVED)), {}),
    "gone": ([], books(row()), {"missing-container": None}),
    "gone, but a trace": ([LOCKED], books(row()), {"stale-lock": "clear-debris", "missing-container": None}),
    "purged by hand": ([NOTHING], books(row(standing=Standing.TERMINATED)), {"missing-container": "purge-container"}),
    "a conf without files": ([sight(private="none", **DOWN)], books(row()), {"missing-container": None}),
    "somebody else's": ([sight(conf=conf(X_VZQ_JOB=OTHER, HOSTNAME="b"))], books(row()), {"wrong-mark": "adopt-container"}),
    "without a mark": ([sight(conf=conf(X_VZQ_JOB=None))], books(row()), {"wrong-mark": "adopt-container"}),
    "halted": ([sight(**DOWN)], books(row()), {"wrong-standing": "start-container"}),
    "disabled": ([sight(conf=conf(DISABLED="yes"))], books(row()), {"disabled-but-running": "start-container"}),
    "not with its node": ([sight(conf=conf(ONBOOT="no"))], books(row()), {"wrong-standing": "start-container"}),
    "stopped but running": ([sight()], books(row(standing=Standing.STOPPED)), {"wrong-standing": "stop-container"}),
    "stopped, would start": ([sight(**DOWN)], books(row(standing=Standing.STOPPED)), {"wrong-standing": "stop-container"}),
    "stopped, fine": ([sight(conf=conf(ONBOOT=None), **DOWN)], books(row(standing=Standing.STOPPED)), {}),
    "suspended but running": ([sight()], books(row(standing=Standing.SUSPENDED)), {"wrong-standing": "suspend-container"}),
    "suspended, startable": ([STARTABLE], books(row(standing=Standing.SUSPENDED)), {"wrong-standing": "suspend-container"}),
    "suspended, fine": ([sight(conf=conf(ONBOOT="no", DISABLED="yes"), **DOWN)], books(row(standing=Standing.SUSPENDED)), {}),
    "terminated but running": ([sight()], books(row(standing=Standing.TERMINATED)), {"wrong-standing": "terminate-container"}),
    "less memory": ([sight(conf=conf(PHYSPAGES="0:1"))], books(row()), {"wrong-limits": "resize-container"}),
    "swap that is not sold": ([sight(conf=conf(SWAPPAGES="0:262144"))], books(row()), {"wrong-limits": "resize-container"}),
    "no disk limit": ([sight(conf=conf(DISKSPACE=None))], books(row()), {"wrong-limits": "resize-container"}),
    "sizes nobody knows": ([sight(conf=conf(CPUS=None, DISKSPACE="unlimited"))], books(row(cpus=0, disk_bytes=0)), {}),
    "one size wrong, others unknown": ([sight(conf=conf(CPUS=None, PHYSPAGES="0:1"))], books(row(cpus=0)), {"wrong-limits": None}),
    "another name": ([sight(conf=conf(NAME="other"))], books(row(name="web")), {"wrong-name": "rename-container"}),
    "a name nobody asked for": ([sight(conf=conf(NAME="other"))], books(row()), {}),
    "another host name": ([sight(conf=conf(HOSTNAME="$(reboot)\u202e"))], books(row()), {"wrong-hostname": "set-hostname"}),
    "other resolvers": ([sight(conf=conf(NAMESERVER="8.8.8.8"))], books(row(nameservers=["9.9.9.9"])), {"wrong-nameservers": "set-nameservers"}),
    "an address lost": ([sight(conf=conf(IP_ADDRESS=None))], books(row()), {"wrong-addresses": "add-address"}),
    "an address of ours too many": ([sight(conf=conf(IP_ADDRESS="10.0.0.1 10.0.0.9"))], books(row()), {"wrong-addresses": None}),
    "the customer's own address": ([sight(conf=conf(IP_ADDRESS="10.0.0.1/32 192.168.7.7"))], books(row()), {}),
    "an address spelt otherwise": ([sight(conf=conf(IP_ADDRESS="2001:DB8:0::1"))], books(row(), addresses={1001: ["2001:db8::1"]}), {}),
    "a twin": ([sight()], books(row(), elsewhere={1001: "n2"}), {"twin": None}),
    "a stranger's twin": ([sight()], books(elsewhere={1001: "n2"}), {"twin": None, "unknown-container": None}),
    "an address of two": ([sight()], books(row(), holders={"10.0.0.1": 7000}), {"shared-address": None}),
    "an address of a stranger elsewhere": ([sight()], books(row(), strangers={"10.0.0.1": "n2"}), {"shared-address": None}),
    "at work": ([sight(**DOWN)], books(row(), busy=frozenset({1001}), elsewhere={1001: "n2"}, holders={"10.0.0.1": 7000}), {}),
    "a stale lock": ([sight(stale_lock=True)], books(row()), {"stale-lock": "clear-debris"}),
    "a dead job's debris": ([sight(private="empty", half_made=True, **DOWN)], books(ended={JOB: True}), {"debris": "clear-debris"}),
    "an open job's debris": ([sight(private="empty", half_made=True, **DOWN)], books(ended={JOB: False}), {"debris": None}),
    "an unknown job's debris": ([sight(private="empty", **DOWN)], books(), {"debris": "clear-debris"}),
    "an unknown job's, just now": ([sight(private="empty", fresh=True, **DOWN)], books(), {"debris": None}),
    "left by a destroy": ([LEFT], books(ended={JOB: True}), {"debris": "clear-debris"}),
    "a planted conf": ([sight(private="none", **DOWN)], books(ended={JOB: True}), {"debris": "clear-debris"}),
    "a stranger's planted conf": ([sight(conf=conf(X_VZQ_JOB=None), private="none", **DOWN)], books(), {"debris": None}),
    "nobody's leftovers": ([sight(conf=None, private="none", half_made=True, **DOWN)], books(), {"debris": "clear-debris"}),
    "nobody's, just now": ([sight(conf=None, private="none", half_made=True, fresh=True, **DOWN)], books(), {"debris": None}),
    "files without a conf": ([sight(conf=None, **DOWN)], books(), {"debris": None}),
    "a kept copy": ([sight(conf=None, migrated=True, **DOWN)], books(), {"debris": None}),
    "kept aside": ([sight(conf=None, private="none", aside=JOB, **DOWN)], books(), {"debris": None}),
}  # fmt: skip


@pytest.mark.parametrize(("sights", "known", "concluded"), CASES.values(), ids=CASES)
def test_what_is_seen_and_what_is_concluded(sights: list[Sight], known: Books, concluded: dict[str, str | None]) -> None:
    differences = compare(sights, known, DRIVER)
    assert {one.kind: one.repair.get("kind") for one in differences} == concluded
    assert len({(one.kind, one.subject) for one in differences}) == len(differences)
    for one in differences:
        assert one.why.isprintable()
        assert one.why.isascii()


def test_two_containers_of_one_node_with_one_address_are_both_named() -> None:
    differences = compare([sight(), sight(1002)], books(row(), row(1002, job_id=JOB)), DRIVER)
    assert {(one.kind, one.subject) for one in differences} == {("shared-address", "1001"), ("shared-address", "1002")}


def test_what_has_no_row_is_summed_up() -> None:
    seen = [sight(), sight(1002), sight(1003, conf=conf(PHYSPAGES="unlimited", DISKSPACE="0:9223372036854775807", IP_ADDRESS="bad 10.0.0.3/32"))]
    outside = strangers(seen, books(row()), DRIVER)
    assert (outside.count, outside.ram_bytes, outside.disk_bytes) == (2, GIB, 2 * GIB)
    assert outside.addresses == ("10.0.0.1", "10.0.0.3")


CONFS = st.none() | st.dictionaries(
    st.sampled_from([*CONF, "NAME", "DISABLED", "NAMESERVER", "SEARCHDOMAIN", "VE_LAYOUT", "OSTEMPLATE"]),
    st.text(max_size=40) | st.sampled_from([*CONF.values(), "yes", "no", "unlimited", "9" * 400, "1:2G", "-1", "1e9", "٣:٣"]),
)
SIGHTS = st.builds(
    sight,
    st.integers(1001, 1005),
    conf=CONFS,
    private=st.sampled_from(["none", "empty", "full"]),
    half_made=st.booleans(),
    running=st.booleans(),
    stale_lock=st.booleans(),
    migrated=st.booleans(),
    fresh=st.booleans(),
    left_by=st.sampled_from([None, JOB]),
    aside=st.sampled_from([None, JOB]),
)
ROWS = st.builds(
    row, st.integers(1001, 1005), state=st.sampled_from(ContainerState), standing=st.sampled_from([s for s in Standing if s is not Standing.GONE])
)
ENDED = st.dictionaries(st.just(JOB), st.booleans())


@settings(deadline=None, max_examples=200)  # a busy machine is no fault
@given(st.lists(SIGHTS, max_size=5, unique_by=lambda one: one.ctid), st.lists(ROWS, max_size=5), ENDED, st.frozensets(st.integers(1001, 1005)))
def test_whatever_a_node_shows_repairs_are_orders_and_touch_no_stranger(
    sights: list[Sight], rows: list[Container], ended: dict[str, bool], busy: frozenset[int]
) -> None:
    known = books(*rows, ended=ended, busy=busy)
    differences = compare(sights, known, DRIVER)
    shown = {one.ctid: one for one in sights}
    for one in differences:
        assert one.why.isprintable()
        assert int(one.subject) not in busy
        if not one.repair:
            continue
        order = ORDER.validate_python(one.repair)
        seen, container = shown.get(int(one.subject)), known.containers.get(int(one.subject))
        if order.kind == "clear-debris" and one.kind == "debris":
            assert seen is not None
            assert seen.private != "full"
            assert order.of == (seen.marker or seen.left_by)
            assert ended.get(order.of or "", not seen.fresh)
        if order.kind not in ("adopt-container", "clear-debris"):
            assert container is not None
            assert container.state == ContainerState.PRESENT
            assert seen is None or seen.nothing or seen.marker == container.job_id
    outside = strangers(sights, known, DRIVER)
    assert 0 <= outside.ram_bytes <= 5 << 50
    assert 0 <= outside.disk_bytes <= 5 << 50
