import json
from pathlib import Path

import asyncssh
import pytest

from models.database import Database
from models.fleet import Address, Node, NodeState, Plan
from models.kinds import DEFAULT_SLOTS
from producers.cli.pool import checked_probe, given_out
from producers.cli.sizes import as_bytes, as_share, as_size
from producers.refusals import BadOrder
from tests.cli.conftest import SAMPLES, Vzq, rows
from tests.factories import GIB, make_job, make_node, make_plan
from tests.stand_ins import NOON


def test_an_empty_house_has_lists_that_are_empty_arrays(vzq: Vzq) -> None:
    for what in ("job", "node", "plan", "pool", "container"):
        assert rows(vzq(what, "list", "--json")) == []
        assert vzq(what, "list").exit_code == 0


def test_the_same_plan_again_changes_nothing_and_another_under_its_name_is_refused(vzq: Vzq, database: Database) -> None:
    plan = ("plan", "add", "small", "--ram", "512M", "--disk", "10G", "--swap", "256m", "--cpus", "2")
    assert vzq(*plan).exit_code == 0
    assert vzq(*plan).exit_code == 0
    assert vzq(*plan[:-1], "4").exit_code == 2
    expected = {"name": "small", "ram_bytes": GIB // 2, "swap_bytes": GIB // 4, "disk_bytes": 10 * GIB, "inodes": None, "cpus": 2, "cpuunits": 1000}
    assert rows(vzq("plan", "list", "--json")) == [expected | {"downtime_month_s": None}]


def test_a_plan_that_waiting_orders_need_is_not_removed(vzq: Vzq, database: Database) -> None:
    with database.write() as session:
        session.add_all([make_plan("small"), make_plan("medium"), make_job("create-container", order={"kind": "create-container", "plan": "small"})])
    kept = vzq("plan", "remove", "small")
    assert kept.exit_code == 3
    assert "cancel them first" in kept.stderr
    assert vzq("plan", "remove", "medium").exit_code == 0
    assert vzq("plan", "remove", "medium").exit_code == 2
    with database.read() as session:
        assert session.get(Plan, "medium") is None
        assert session.get(Plan, "small") is not None


@pytest.mark.parametrize(("text", "count"), [("512M", 512 << 20), ("10G", 10 << 30), ("1t", 1 << 40), ("0", 0), (" 64K ", 64 << 10)])
def test_sizes_are_powers_of_1024(text: str, count: int) -> None:
    assert as_bytes(text, "--ram") == count


@pytest.mark.parametrize("text", ["", "512", "-1G", "1.5G", "G", "10GB", "1e3M", "٣G", "9999999999999G", "999999999T", "1 G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadOrder):
        as_bytes(text, "--ram")


def test_sizes_are_shown_short() -> None:
    assert [as_size(count) for count in (0, 512, 512 << 20, 3 << 29, 10 << 30)] == ["0", "512", "512M", "1536M", "10G"]
    assert as_size((1 << 30) + 1) == "1.0G"
    assert as_share(5 << 29, 4 << 30) == "2.5/4.0G"


def test_a_pool_gives_out_neither_network_nor_broadcast_address(vzq: Vzq) -> None:
    assert vzq("pool", "add", "public", "192.0.2.0/24", "--nameserver", "192.0.2.53", "--probe", "tcp:22").exit_code == 0
    expected = {
        "name": "public", "site": "main", "cidr": "192.0.2.0/24", "first": "192.0.2.1", "last": "192.0.2.254",
        "probe": "tcp:22", "nameservers": ["192.0.2.53"], "used": 0, "size": 254,
    }  # fmt: skip
    (pool,) = rows(vzq("pool", "list", "--json"))
    assert expected.items() <= pool.items()


def test_the_same_pool_again_changes_nothing_even_when_it_is_in_use(vzq: Vzq, database: Database) -> None:
    assert vzq("pool", "add", "public", "192.0.2.0/24").exit_code == 0
    with database.write() as session:
        session.add(Address(address="192.0.2.1", pool="public", ctid=1001, since=NOON))
    assert vzq("pool", "add", "public", "192.0.2.0/24").exit_code == 0
    assert vzq("pool", "add", "public", "198.51.100.0/24").exit_code == 2
    assert [(pool["used"], pool["cidr"]) for pool in rows(vzq("pool", "list", "--json"))] == [(1, "192.0.2.0/24")]


@pytest.mark.parametrize(
    ("cidr", "options", "taken"),
    [
        ("192.0.2.0/25", [], True),
        ("192.0.0.0/16", [], True),
        ("192.0.2.200/32", [], True),
        ("192.0.2.0/24", ["--first", "192.0.2.101"], False),  # the other half of the same network
        ("192.0.3.0/24", [], False),
        ("2001:db8::/64", [], False),
    ],
)
def test_two_pools_never_give_out_the_same_address(vzq: Vzq, cidr: str, options: list[str], *, taken: bool) -> None:
    assert vzq("pool", "add", "a", "192.0.2.0/24", "--last", "192.0.2.100" if options else "192.0.2.254").exit_code == 0
    second = vzq("pool", "add", "b", cidr, *options, "--site", "other")
    assert second.exit_code == (2 if taken else 0)
    assert ("meets pool 'a'" in second.stderr) == taken


@pytest.mark.parametrize(
    ("cidr", "first", "last", "where"),
    [
        ("192.0.2.1/24", "", "", "CIDR"),
        ("10.0.0.0/11", "", "", "CIDR"),
        ("224.0.0.0/24", "", "", "CIDR"),
        ("0.0.0.0/24", "", "", "CIDR"),
        ("nonsense", "", "", "CIDR"),
        ("192.0.2.0/24", "192.0.3.1", "", "--first"),
        ("192.0.2.0/24", "192.0.2.0", "", "--first"),
        ("192.0.2.0/24", "", "192.0.2.255", "--last"),
        ("192.0.2.0/24", "192.0.2.9", "192.0.2.8", "--first"),
        ("192.0.2.0/24", "2001:db8::1", "", "--first"),
        ("192.0.2.0/24", "x", "", "--first"),
    ],
)
def test_a_range_that_cannot_be_a_pool_is_refused(cidr: str, first: str, last: str, where: str) -> None:
    with pytest.raises(BadOrder) as refused:
        given_out(cidr, first, last)
    assert where in refused.value.problems


def test_the_largest_pool_and_the_smallest_are_pools() -> None:
    assert given_out("10.0.0.0/12").size == (1 << 20) - 2
    assert given_out("192.0.2.7/32").size == 1
    assert given_out("192.0.2.6/31").size == 2


@pytest.mark.parametrize("probe", ["", "tcp", "tcp:", "tcp:0", "tcp:65536", "tcp:-1", "tcp:08", "udp:53", "icmp:1", "ICMP", "tcp:²"])
def test_a_probe_that_is_nonsense_is_refused(probe: str) -> None:
    with pytest.raises(BadOrder):
        checked_probe(probe)


def test_a_node_is_drained_and_activated_and_then_its_breaker_is_closed(vzq: Vzq, database: Database) -> None:
    with database.write() as session:
        session.add(make_node("n1", broken_until=NOON.replace(year=2099), faults=3, finding="disk full", finding_why="no space"))
    assert vzq("node", "drain", "n1").exit_code == 0
    assert [(node["state"], node["finding"]) for node in rows(vzq("node", "list", "--json"))] == [("draining", "disk full")]
    assert vzq("node", "activate", "n1").exit_code == 0
    with database.read() as session:
        node = session.get(Node, "n1")
        assert node is not None
        assert (node.state, node.broken_until, node.faults, node.finding) == (NodeState.ACTIVE, None, 0, "")


def test_slots_are_set_load_by_load_and_an_empty_number_brings_the_default_back(vzq: Vzq, fleet: Database) -> None:
    def slots(*given: str) -> dict[str, int]:
        done = vzq("node", "describe", "n1", *(word for one in given for word in ("--slots", one)), "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)["slots"]

    usual = {str(load): most for load, most in DEFAULT_SLOTS.items()}
    assert slots("move_out=2", "create=0") == usual | {"move_out": 2, "create": 0}
    assert slots("move_out=") == usual | {"create": 0}
    assert slots(f"create={usual['create']}") == usual
    with fleet.read() as session:
        assert session.get_one(Node, "n1").slots == {}


@pytest.mark.parametrize("wrong", ["fast=1", "create", "create=-1", "create=257", "create=1.5", "look=0", "none=1"])
def test_slots_that_are_none_are_refused_and_nothing_is_changed(vzq: Vzq, fleet: Database, wrong: str) -> None:
    done = vzq("node", "describe", "n1", "--slots", "move_in=1", "--slots", wrong)
    assert (done.exit_code, "--slots" in done.stderr) == (2, True)
    with fleet.read() as session:
        assert session.get_one(Node, "n1").slots == {}


def test_a_node_that_was_never_enrolled_is_not_activated(vzq: Vzq, database: Database) -> None:
    with database.write() as session:
        session.add(make_node("n1", state=NodeState.NEW))
    assert vzq("node", "activate", "n1").exit_code == 3
    assert vzq("node", "drain", "n2").exit_code == 2


def test_a_node_is_forgotten_only_when_nothing_is_left_of_it(vzq: Vzq, fleet: Database) -> None:
    order = ("order", "create", "--plan", "small", "--template", "busybox-mini-x86_64", "--hostname", "a.example", "--node", "n1")
    job = vzq(*order).stdout.strip()
    with fleet.write() as session:
        session.add(make_node("n3", state=NodeState.NEW))
        session.add(make_job("enrol-node", order={"kind": "enrol-node", "node": "n3"}))
    assert "drain it first" in vzq("node", "remove", "n1").stderr
    vzq("node", "drain", "n1")
    assert "1 containers or reservations" in vzq("node", "remove", "n1").stderr
    assert "has still to do with node n3" in vzq("node", "remove", "n3").stderr
    vzq("job", "cancel", job)
    assert vzq("node", "remove", "n1").exit_code == 0
    assert [node["name"] for node in rows(vzq("node", "list", "--json"))] == ["n2", "n3"]


def test_a_node_shows_what_is_taken_of_it(vzq: Vzq, fleet: Database) -> None:
    assert vzq("order", "submit", str(SAMPLES / "orders.jsonl")).exit_code == 0
    nodes = rows(vzq("node", "list", "--json"))
    assert sum(node["containers"] for node in nodes) == 30
    assert rows(vzq("node", "show", "n1", "--json")) == nodes[0]
    containers = rows(vzq("container", "list", "--json", "--node", "n1"))
    assert len(containers) == nodes[0]["containers"]
    assert sum(container["ram_bytes"] for container in containers) == nodes[0]["memory_taken"]


def test_a_container_is_shown_by_id_and_by_name_with_its_job(vzq: Vzq, fleet: Database) -> None:
    assert vzq("order", "submit", str(SAMPLES / "orders.jsonl")).exit_code == 0
    order = ("--plan", "small", "--template", "busybox-mini-x86_64", "--hostname", "web1.example.net", "--name", "web1", "--key", "named")
    assert vzq("order", "create", *order).exit_code == 0
    by_name = rows(vzq("container", "show", "web1", "--json"))
    assert by_name["addresses"] == ["127.64.0.31"]
    assert [job["key"] for job in by_name["jobs"]] == ["named"]
    assert rows(vzq("container", "show", str(by_name["ctid"]), "--json")) == by_name
    assert vzq("container", "show", "9999").exit_code == 2


def test_without_a_terminal_no_host_key_is_taken_on_trust(vzq: Vzq) -> None:
    result = vzq("node", "add", "n1", "--host", "192.0.2.1")
    assert result.exit_code == 2
    assert "--fingerprint" in result.stderr
    assert rows(vzq("job", "list", "--json")) == []


@pytest.mark.parametrize(("option", "value"), [("--host", "a;b"), ("--fingerprint", "MD5:aa"), ("--user", "root;"), ("--site", "../x")])
def test_what_cannot_be_a_node_is_told_before_anything_is_placed(vzq: Vzq, option: str, value: str) -> None:
    options = {"--host": "192.0.2.1", "--fingerprint": "SHA256:" + "A" * 43} | {option: value}
    result = vzq("node", "add", "n1", *(word for pair in options.items() for word in pair))
    assert result.exit_code == 2
    assert option in result.stderr
    assert rows(vzq("job", "list", "--json")) == []


def test_the_key_is_made_once_and_only_its_owner_reads_it(vzq: Vzq, state: Path) -> None:
    first, again = vzq("key"), vzq("key")
    private = state / "ssh" / "id_ed25519"
    assert first.exit_code == again.exit_code == 0
    assert first.stdout == again.stdout
    assert first.stdout.startswith("ssh-ed25519 ")
    assert "authorized_keys" in first.stderr
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.parent.stat().st_mode & 0o777 == 0o700
    assert (state / "ssh" / "id_ed25519.pub").read_text() == first.stdout


def test_the_key_is_one_that_the_workers_can_use(vzq: Vzq, state: Path) -> None:
    shown = rows(vzq("key", "--json"))
    private = asyncssh.read_private_key(state / "ssh" / "id_ed25519")
    assert private.export_public_key().decode().split()[:2] == shown["public_key"].split()[:2]
    assert private.get_fingerprint("sha256") == shown["fingerprint"]


def test_a_private_key_that_is_none_is_a_sentence(vzq: Vzq, state: Path) -> None:
    (state / "ssh").mkdir(parents=True)
    (state / "ssh" / "id_ed25519").write_text("nonsense")
    result = vzq("key")
    assert result.exit_code == 5
    assert "cannot be used as a private key" in result.stderr
