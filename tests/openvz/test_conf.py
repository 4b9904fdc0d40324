"""CTID.conf and what of it fulfils an order, on recorded text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.openvz.recordings import recorded
from tests.openvz.sight import make_sight
from workers.openvz.conf import PAGE, UNLIMITED, barrier_of, limit_of, parse_conf
from workers.openvz.driver import Identity, Limits
from workers.openvz.holds import has_addresses, has_identity, has_limits, has_onboot

pytestmark = pytest.mark.quick

MIB, GIB = 1 << 20, 1 << 30
RECORDED = parse_conf(recorded("set-stopped-save", 'cat /etc/vz/conf/207.conf | grep -v "^#" | grep .').out)
LIMITS = Limits(ram_bytes=128 * MIB, swap_bytes=64 * MIB, disk_bytes=1153433 * 1024, inodes=144179, cpus=1, cpuunits=500)
NAMES = Identity("ct207.lab", name="gamma", description="third one", nameservers=("10.99.0.1",), searchdomain="lab")


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('KEY="value"', {"KEY": "value"}),
        ("KEY=value  ", {"KEY": "value"}),
        ('  KEY="two words"\t', {"KEY": "two words"}),
        ('DESCRIPTION="say "hi" \\ and back"', {"DESCRIPTION": 'say "hi"  and back'}),  # vzlist-json-unescaped
        ('DESCRIPTION="plain"\nline2"', {"DESCRIPTION": "plain"}),  # bad-config
        ('KEY="unmatched', {}),
        ('KEY="x" # why', {"KEY": "x"}),
        ('#KEY="x"', {}),
        ('KEY="first"\nKEY="second"', {"KEY": "first"}),
        ('KEY="a=b"', {"KEY": "a=b"}),
        ('KEY=""', {"KEY": ""}),
        ('KEY="a\x0bb\u2028c\x85d"', {"KEY": "a\x0bb\u2028c\x85d"}),
    ],
)
def test_a_conf_is_read_as_vzctl_reads_it(line: str, values: dict[str, str]) -> None:
    assert parse_conf(line) == values


@settings(deadline=None)  # a busy machine is no fault
@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert all("\n" not in key + value for key, value in parse_conf(text).items())


@pytest.mark.parametrize(
    ("text", "unit", "limit"),
    [
        ("0:32768", PAGE, 128 * MIB), ("0:256M", PAGE, 256 * MIB), ("32768", PAGE, 128 * MIB), ("1G:1.1G", 1024, (1 << 30) + (1 << 30) // 10),
        ("1048576:1153433", 1024, 1153433 * 1024),
        ("0:unlimited", PAGE, UNLIMITED), ("", PAGE, None), ("x", 1, None), ("0:12P", 1, 12 * PAGE), ("٣", 1, None), ("5:-1", 1, None),
    ],
)  # fmt: skip
def test_a_limit_has_its_unit(text: str, unit: int, limit: int | None) -> None:
    assert limit_of({"K": text}, "K", unit=unit) == limit


def test_a_barrier_is_the_first_number() -> None:
    assert barrier_of({"K": "3:4"}, "K") == 3
    assert barrier_of({}, "K") is None


def test_the_recorded_set_holds_what_was_asked() -> None:
    sight = make_sight(conf=RECORDED)
    assert has_limits(sight, LIMITS, vswap=True)
    assert has_identity(sight, NAMES)
    assert has_addresses(sight, ["10.99.0.107"])
    assert has_onboot(sight, onboot=True)


@pytest.mark.parametrize(
    "change", [{"ram_bytes": 129 * MIB}, {"swap_bytes": 0}, {"disk_bytes": GIB}, {"inodes": 1}, {"cpus": 2}, {"cpuunits": 501}], ids=str
)
def test_any_other_limit_is_not_held(change: dict[str, int]) -> None:
    assert not has_limits(make_sight(conf=RECORDED), Limits(**{**vars(LIMITS), **change}), vswap=True)


def test_beancounters_hold_memory_without_vswap() -> None:
    conf = {**RECORDED, "VMGUARPAGES": f"32768:{UNLIMITED}", "PRIVVMPAGES": "49152:49152"}
    assert has_limits(make_sight(conf=conf), LIMITS, vswap=False)
    assert not has_limits(make_sight(conf=RECORDED), LIMITS, vswap=False)


@pytest.mark.parametrize("key", ["HOSTNAME", "NAME", "DESCRIPTION", "NAMESERVER", "SEARCHDOMAIN"])
def test_any_other_name_is_not_held(key: str) -> None:
    assert not has_identity(make_sight(conf={**RECORDED, key: "other"}), NAMES)


def test_addresses_are_compared_as_addresses() -> None:
    sight = make_sight(conf={"IP_ADDRESS": "10.0.0.1/32 2001:0db8::0001 10.0.0.2"})
    assert has_addresses(sight, ["2001:db8::1", "10.0.0.1"])
    assert not has_addresses(sight, ["10.0.0.1", "10.0.0.3"])


def test_a_missing_container_holds_nothing() -> None:
    sight = make_sight(conf=None)
    assert not has_limits(sight, LIMITS, vswap=True)
    assert not has_identity(sight, NAMES)
    assert not has_addresses(sight, ["10.0.0.1"])
    assert not has_onboot(sight, onboot=False)
