"""The words of every command as data, and what never becomes a word."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import Permanent
from models.whitelist import DESCRIPTION, HOSTNAME, PASSWORD, WORD
from workers.commands import Command
from workers.openvz.driver import Abilities, Driver, Identity, Limits
from workers.openvz.vzctl import Vzctl

pytestmark = pytest.mark.quick

MIB, GIB = 1 << 20, 1 << 30
JOB, OWNER = "01JD0000000000000000000000", "01JD0000000000000000000001"
PLAN = Limits(ram_bytes=512 * MIB, swap_bytes=256 * MIB, disk_bytes=10 * GIB, inodes=None, cpus=2, cpuunits=1000)
WITH_INODES = Limits(ram_bytes=512 * MIB, swap_bytes=0, disk_bytes=10 * GIB, inodes=200000, cpus=1, cpuunits=500)
NAMES = Identity("a.example", name="a1", description="web: of 4711", nameservers=("10.0.0.1", "2001:DB8::1"), searchdomain="example")


def abilities(version: str = "4.11.1", *, vswap: bool = True) -> Abilities:
    return Abilities(
        dialect="vzctl", version=version, openvz=True, vswap=vswap, ploop=False, checkpointing=True, kernel="2.6.32", arch="x86_64",
        cpus=8, memory_bytes=GIB, swap_bytes=0, disk_bytes=GIB, disk_free_bytes=GIB, inodes_free=None,
    )  # fmt: skip


NEW: Driver = Vzctl()
UBC: Driver = Vzctl(abilities("3.0.30", vswap=False))
OLD: Driver = Vzctl(abilities("3.0.24"))

WORDS: list[tuple[Command, str, list[str]]] = [
    (NEW.look(101), "look", ["vzq-ct", "look", "101"]),
    (NEW.facts(), "facts", ["vzq-ct", "facts"]),
    (NEW.plant(101, JOB, sample="vswap-256m", layout="simfs"), "plant", ["vzq-ct", "plant", "101", JOB, "vswap-256m", "simfs"]),
    (NEW.clean(101, JOB), "clean", ["vzq-ct", "clean", "101", JOB]),
    (NEW.unplant(101, JOB), "unplant", ["vzq-ct", "unplant", "101", JOB]),
    (NEW.adopt(101, JOB), "adopt", ["vzq-ct", "adopt", "101", JOB]),
    (NEW.aside(101, JOB, OWNER), "aside", ["vzq-ct", "aside", "101", JOB, OWNER]),
    (NEW.back(101, JOB), "back", ["vzq-ct", "back", "101", JOB]),
    (NEW.drop(101, JOB), "drop", ["vzq-ct", "drop", "101", JOB]),
    (NEW.keys(101, JOB), "keys", ["vzq-ct", "keys", "101", JOB]),
    (NEW.usage(101), "usage", ["vzq-ct", "usage", "101"]),
    (NEW.create(101, template="debian-12", layout="simfs", limits=PLAN), "create",
     ["vzctl", "create", "101", "--ostemplate", "debian-12", "--layout", "simfs"]),
    (NEW.create(101, template="debian-12", layout="ploop", limits=PLAN), "create",
     ["vzctl", "create", "101", "--ostemplate", "debian-12", "--layout", "ploop", "--diskspace", "10485760K"]),
    (OLD.create(101, template="debian-12", layout="simfs", limits=PLAN), "create", ["vzctl", "create", "101", "--ostemplate", "debian-12"]),
    (NEW.set_limits(101, PLAN), "set-limits",
     ["vzctl", "set", "101", "--ram", "524288K", "--swap", "262144K", "--diskspace", "10485760K:10485760K",
      "--cpus", "2", "--cpuunits", "1000", "--save"]),
    (NEW.set_limits(101, WITH_INODES), "set-limits",
     ["vzctl", "set", "101", "--ram", "524288K", "--swap", "0K", "--diskspace", "10485760K:10485760K",
      "--diskinodes", "200000:200000", "--cpus", "1", "--cpuunits", "500", "--save"]),
    (UBC.set_limits(101, PLAN), "set-limits",
     ["vzctl", "set", "101", "--privvmpages", "196608:196608", "--vmguarpages", "131072:unlimited", "--oomguarpages", "131072:unlimited",
      "--diskspace", "10485760K:10485760K", "--cpus", "2", "--cpuunits", "1000", "--save"]),
    (NEW.set_identity(101, NAMES), "set-identity",
     ["vzctl", "set", "101", "--hostname", "a.example", "--name", "a1", "--description", "web: of 4711",
      "--nameserver", "10.0.0.1", "--nameserver", "2001:db8::1", "--searchdomain", "example", "--save"]),
    (NEW.set_identity(101, Identity("a.example")), "set-identity", ["vzctl", "set", "101", "--hostname", "a.example", "--save"]),
    (NEW.add_addresses(101, ["10.1.0.1", "2001:db8::2"]), "add-addresses",
     ["vzctl", "set", "101", "--ipadd", "10.1.0.1", "--ipadd", "2001:db8::2", "--save"]),
    (NEW.remove_addresses(101, ["10.1.0.1"]), "remove-addresses", ["vzctl", "set", "101", "--ipdel", "10.1.0.1", "--save"]),
    (NEW.set_onboot(101, onboot=True), "set-onboot", ["vzctl", "set", "101", "--onboot", "yes", "--save"]),
    (NEW.set_onboot(101, onboot=False), "set-onboot", ["vzctl", "set", "101", "--onboot", "no", "--save"]),
    (NEW.set_disabled(101, disabled=True), "set-disabled", ["vzctl", "set", "101", "--disabled", "yes", "--save"]),
    (NEW.set_disabled(101, disabled=False), "set-disabled", ["vzctl", "set", "101", "--disabled", "no", "--save"]),
    (NEW.set_identity(101, Identity("a.example", name="")), "set-identity",
     ["vzctl", "set", "101", "--hostname", "a.example", "--name", "", "--save"]),
    (NEW.set_password(101, "root", "S3cret-pw"), "set-password", ["vzctl", "exec2", "101", "-"]),
    (NEW.start(101), "start", ["vzctl", "start", "101"]),
    (NEW.stop(101), "stop", ["vzctl", "stop", "101"]),
    (NEW.stop(101, fast=True), "stop", ["vzctl", "stop", "101", "--fast"]),
    (NEW.umount(101), "umount", ["vzctl", "umount", "101"]),
    (NEW.destroy(101), "destroy", ["vzctl", "destroy", "101"]),
    (NEW.exec_true(101), "exec-true", ["vzctl", "exec2", "101", "echo vzq-alive"]),
    (NEW.listing(), "listing", ["vzlist", "-a", "-j", "-o", "ctid,status,diskspace,ip,onboot,ostemplate,name,hostname"]),
    (OLD.listing(), "listing", ["vzlist", "-a", "-H", "-o", "ctid,status"]),
]  # fmt: skip


@pytest.mark.parametrize(("command", "name", "argv"), WORDS, ids=lambda value: " ".join(value)[-60:] if isinstance(value, list) else "")
def test_a_command_is_these_words(command: Command, name: str, argv: list[str]) -> None:
    assert (command.name, list(command.argv)) == (name, argv)


def test_only_the_password_uses_standard_input() -> None:
    assert {command.name for command, _, _ in WORDS if command.stdin} == {"set-password"}


def test_a_password_is_in_no_word_and_in_no_repr() -> None:
    command = NEW.set_password(101, "root", "S3cret'$(id)`pw`")
    assert "S3cret" not in " ".join(command.argv)
    assert "S3cret" not in repr(command)
    assert b"root:S3cret'$(id)`pw`\n" in command.stdin


def test_a_refused_password_is_not_in_the_error() -> None:
    with pytest.raises(Permanent) as caught:
        NEW.set_password(101, "root", "hunter two")
    assert "hunter" not in str(caught.value)


BAD_IDS = [0, 1, 100, -101, 2_147_483_645, True, "101", "101;reboot", 101.0, None]


@pytest.mark.parametrize("ctid", BAD_IDS)
def test_an_id_out_of_range_is_refused(ctid: int) -> None:
    for build in BY_CTID:
        with pytest.raises(Permanent):
            build(ctid)


BY_CTID: list[Callable[[int], Command]] = [
    NEW.look, NEW.start, NEW.stop, NEW.destroy, NEW.umount, NEW.exec_true,
    lambda ctid: NEW.plant(ctid, JOB, sample="basic", layout="simfs"), lambda ctid: NEW.clean(ctid, JOB), lambda ctid: NEW.unplant(ctid, JOB),
    lambda ctid: NEW.create(ctid, template="t", layout="simfs", limits=PLAN), lambda ctid: NEW.set_limits(ctid, PLAN),
    lambda ctid: NEW.set_identity(ctid, NAMES), lambda ctid: NEW.add_addresses(ctid, ["10.0.0.1"]),
    lambda ctid: NEW.remove_addresses(ctid, ["10.0.0.1"]), lambda ctid: NEW.set_onboot(ctid, onboot=True),
    lambda ctid: NEW.set_password(ctid, "root", "long-enough"), lambda ctid: NEW.set_disabled(ctid, disabled=True),
    NEW.usage, lambda ctid: NEW.adopt(ctid, JOB), lambda ctid: NEW.aside(ctid, JOB, OWNER), lambda ctid: NEW.back(ctid, JOB),
    lambda ctid: NEW.drop(ctid, JOB), lambda ctid: NEW.keys(ctid, JOB),
]  # fmt: skip

BAD_PLANS = [
    {"ram_bytes": 0}, {"ram_bytes": -1}, {"ram_bytes": True}, {"ram_bytes": 1.5}, {"ram_bytes": 1 << 62}, {"swap_bytes": -1}, {"disk_bytes": 0},
    {"inodes": 0}, {"cpus": 0}, {"cpus": "1; reboot"}, {"cpuunits": 7}, {"cpuunits": 500_001}, {"cpuunits": "8"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD_PLANS, ids=str)
def test_a_limit_that_is_no_sensible_number_is_refused(change: dict[str, int]) -> None:
    figures = {"ram_bytes": MIB, "swap_bytes": 0, "disk_bytes": GIB, "inodes": None, "cpus": 1, "cpuunits": 8} | change
    with pytest.raises(Permanent):
        NEW.set_limits(101, Limits(**figures))


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(Permanent):
        NEW.add_addresses(101, [])


HOSTILE = st.text(max_size=80) | st.text(st.sampled_from("ab1.:-%/@=, \n\t\r\0\"'\\$`;&|<>(){}[]*?!#~ä"), max_size=40)
PLACES: dict[str, tuple[Callable[[str], Command], Callable[[str], bool]]] = {
    "hostname": (lambda text: NEW.set_identity(101, Identity(text)), lambda text: bool(HOSTNAME.fullmatch(text))),
    "name": (lambda text: NEW.set_identity(101, Identity("h", name=text or "-")), lambda text: bool(WORD.fullmatch(text))),
    "description": (lambda text: NEW.set_identity(101, Identity("h", description=text)), lambda text: bool(DESCRIPTION.fullmatch(text))),
    "nameserver": (lambda text: NEW.set_identity(101, Identity("h", nameservers=(text,))), lambda _: True),
    "searchdomain": (lambda text: NEW.set_identity(101, Identity("h", searchdomain=text or "-")), lambda text: bool(HOSTNAME.fullmatch(text))),
    "address": (lambda text: NEW.add_addresses(101, [text]), lambda _: True),
    "template": (lambda text: NEW.create(101, template=text, layout="simfs", limits=PLAN), lambda text: bool(WORD.fullmatch(text))),
    "layout": (lambda text: NEW.create(101, template="t", layout=text, limits=PLAN), lambda text: text in ("simfs", "ploop")),
    "sample": (lambda text: NEW.plant(101, JOB, sample=text, layout="simfs"), lambda text: bool(WORD.fullmatch(text))),
    "owner": (lambda text: NEW.aside(101, JOB, text), lambda text: len(text) == 26 and text.isascii() and text.isalnum()),
    "job": (lambda text: NEW.clean(101, text), lambda text: len(text) == 26 and text.isascii() and text.isalnum()),
    "user": (lambda text: NEW.set_password(101, text, "long-enough"), lambda text: bool(WORD.fullmatch(text))),
    "password": (lambda text: NEW.set_password(101, "root", text), lambda text: bool(PASSWORD.fullmatch(text))),
}
SHELL = set("\"'\\$`;&|<>(){}*?!#~\n\r\0%")


@pytest.mark.parametrize("place", PLACES)
@settings(deadline=None)  # a busy machine is no fault
@given(text=HOSTILE)
def test_no_hostile_text_becomes_a_word(place: str, text: str) -> None:
    build, allowed = PLACES[place]
    try:
        command = build(text)
    except Permanent:
        return
    assert allowed(text)
    for word in command.argv:
        assert word.isascii()
        assert not SHELL & set(word)


@pytest.mark.parametrize("address", ["fe80::1%$(reboot)", "fe80::1%eth0", "10.0.0.1/8", "10.0.0.0/0; id", "all", "::", "224.0.0.1"])
def test_an_address_is_one_plain_host_address(address: str) -> None:
    with pytest.raises(Permanent):
        NEW.add_addresses(101, [address])
    with pytest.raises(Permanent):
        NEW.set_identity(101, Identity("h", nameservers=(address,)))
