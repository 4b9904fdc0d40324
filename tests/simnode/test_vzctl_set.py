"""vzctl set: units, what is refused, and what is saved when."""

from pathlib import Path

import pytest

from ops.simnode.conf import Conf
from tests.simnode.contract import made, running
from tests.simnode.labs import Remote, node_in


def conf(node: Remote, ctid: int = 205) -> Conf:
    return Conf.read(node.root / f"etc/vz/conf/{ctid}.conf")


SAVED = [
    ("--ram 192M", "PHYSPAGES", "0:49152"),
    ("--ram 5000", "PHYSPAGES", "0:2"),  # bytes, rounded up to pages
    ("--ram 1.5G", "PHYSPAGES", "0:393216"),
    ("--swap 0", "SWAPPAGES", "0:0"),
    ("--diskspace 1G:1.1G", "DISKSPACE", "1048576:1153433"),
    ("--diskspace 2097152", "DISKSPACE", "2097152:2097152"),  # KiB
    ("--diskinodes 150000", "DISKINODES", "150000:150000"),
    ("--privvmpages 65536:69632", "PRIVVMPAGES", "65536:69632"),  # pages
    ("--privvmpages 256M", "PRIVVMPAGES", "65536:65536"),
    ("--kmemsize 14M:15M", "KMEMSIZE", "14680064:15728640"),
    ("--numproc 240", "NUMPROC", "240:240"),
    ("--numproc unlimited", "NUMPROC", "9223372036854775807:9223372036854775807"),
    ("--cpulimit 200", "CPULIMIT", "200"),
    ("--iolimit 10", "IOLIMIT", "10485760"),  # MB a second on the command line, bytes in the file
    ("--nameserver 10.0.0.1 --nameserver 10.0.0.2", "NAMESERVER", "10.0.0.1 10.0.0.2"),
    ("--onboot=yes", "ONBOOT", "yes"),
    ("--features nfs:on,sit:off", "FEATURES", "nfs:on,sit:off"),
    ("--stop-timeout 30", "STOP_TIMEOUT", "30"),
]


@pytest.mark.parametrize(("option", "key", "value"), SAVED, ids=[option for option, _, _ in SAVED])
async def test_a_value_is_kept_in_the_unit_of_its_key(option: str, key: str, value: str, tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(made(205)[0])
        await node.ok(f"vzctl set 205 {option} --save")
        assert conf(node).get(key) == value


REFUSED = ["--cpus 0", "--cpuunits 7", "--ioprio 8", "--numproc 5M", "--ram 1X", "--disabled on", "--name a/b", "--netfilter none"]


@pytest.mark.parametrize("option", REFUSED)
async def test_a_bad_value_is_21_and_changes_nothing(option: str, tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(made(205)[0])
        before = conf(node).lines
        answer = await node.run(f"vzctl set 205 --onboot yes {option} --save")
        name, _, value = option.partition(" ")
        assert (answer.code, answer.err) == (21, f"Bad parameter for {name}: {value}\n")
        assert conf(node).lines == before


async def test_unknown_keys_and_their_place_survive(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(f"{made(205)[0]}; echo 'X_VZQ_JOB=\"0192\"' >> $VZQ_NODE_ROOT/etc/vz/conf/205.conf")
        place = conf(node).lines.index('X_VZQ_JOB="0192"')
        await node.ok("vzctl set 205 --cpuunits 700 --hostname a.example --save")
        assert conf(node).lines[place] == 'X_VZQ_JOB="0192"'
        assert conf(node).keys()[-1] == "HOSTNAME"


async def test_what_failed_half_way_is_applied_and_not_saved(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in (*running(205, 206), "vzctl set 206 --ipadd 10.99.0.6 --save", "vzctl set 205 --name old --save"):
            await node.ok(line)
        answer = await node.run("vzctl set 205 --name new --onboot yes --ipadd 10.99.0.6 --save")
        assert answer.code == 78
        assert answer.err.endswith("Error: failed to apply some parameters, not saving configuration file!\n")
        assert (conf(node).get("NAME"), conf(node).get("ONBOOT")) == ("old", None)
        assert [path.name for path in (node.root / "etc/vz/names").iterdir()] == ["new"]  # the new link stays, the old is lost


async def test_a_name_belongs_to_one_container(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in (*made(205, 206), "vzctl set 205 --name web --save"):
            await node.ok(line)
        assert (await node.run("vzctl set 206 --name web --save")).code == 131
        assert await node.ok("vzctl status web") == "CTID 205 exist unmounted down\n"
        await node.ok("vzctl set 205 --name '' --save; vzctl set 206 --name web --save")
        assert await node.ok("vzctl status web") == "CTID 206 exist unmounted down\n"


async def test_what_needs_a_restart_is_warned_of_refused_or_restarts(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        warned = await node.run("vzctl set 205 --features nfs:on --save")
        assert warned.code == 0
        assert "could not be applied" in warned.err
        assert (await node.run("vzctl set 205 --features nfs:off --setmode ignore --save")).code == 32
        assert conf(node).get("FEATURES") == "nfs:on"
        assert "Restarting container" in await node.ok("vzctl set 205 --features nfs:off --setmode restart --save")


async def test_a_disabled_container_starts_only_by_force(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(f"{made(205)[0]}; vzctl set 205 --disabled yes --save")
        assert (await node.run("vzctl start 205")).code == 105
        await node.ok("vzctl start 205 --force")


async def test_addresses_add_up_and_all_can_be_replaced_in_one_call(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in (made(205)[0], "vzctl set 205 --ipadd 10.99.0.1 --ipadd 10.99.0.2 --save", "vzctl set 205 --ipdel all --ipadd 10.99.0.3 --save"):
            await node.ok(line)
        assert conf(node).get("IP_ADDRESS") == "10.99.0.3"


async def test_a_stray_configuration_has_no_container(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok("vzctl set 999 --onboot yes --save")
        assert conf(node, 999).lines == ['ONBOOT="yes"']
        assert (await node.run("vzctl start 999")).code == 43
        assert await node.ok("vzlist -a -H") == ""
