"""vzlist beyond the recordings: filters, order, and what is hidden."""

import json
from pathlib import Path

from tests.simnode.contract import made, running
from tests.simnode.labs import node_in


async def test_filters_order_and_single_columns(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in (*running(205), *made(101, 1000), "vzctl set 1000 --hostname b.example --description 'job:7' --name web --save"):
            await node.ok(line)
        assert await node.ok("vzlist -a1") == "       101\n       205\n      1000\n"
        assert await node.ok("vzlist -S1") == "       101\n      1000\n"
        assert await node.ok("vzlist -aHo ctid -s -ctid") == "      1000\n       205\n       101\n"
        assert await node.ok("vzlist -a -H -o ctid -d 'job:*'") == "      1000\n"
        assert await node.ok("vzlist -a -H -o ctid -N 'w*' -h '*.example'") == "      1000\n"
        assert await node.ok("vzlist --all --no-header --output=ctid,status web") == "      1000 stopped\n"
        assert await node.ok("vzlist -an -H 1000") == "      1000          - stopped   -               web\n"


async def test_a_configuration_without_a_private_area_is_hidden(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok("vzctl set 999 --onboot yes --save")
        assert await node.ok("vzlist -a -j") == "[\n]\n"
        answer = await node.run("vzlist -j 999")
        assert (answer.code, answer.out) == (0, "[\n]\n")


async def test_long_texts_are_cut_unless_last_or_asked_whole(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        long = "x" * 50
        await node.ok(f"{made(205)[0]}; vzctl set 205 --description {long} --save")
        assert await node.ok("vzlist -a -H -o description,ctid") == f"{'x' * 32}        205\n"
        assert await node.ok("vzlist -a -H -t -o description,ctid") == f"{long}        205\n"
        assert await node.ok("vzlist -a -H -o ctid,description") == f"       205 {long}\n"


async def test_json_of_all_fields_can_be_read(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        await node.ok("vzctl set 205 --capability chown:off,sys_time:on --features nfs:on --numproc unlimited --save")
        (found,) = json.loads(await node.ok("vzlist -j"))
        assert found["capability"] == {"chown": False, "sys_time": True}
        assert found["features"] == {"nfs": True}
        assert found["numproc"]["limit"] == 9_223_372_036_854_775_807
        assert found["status"] == "running"


async def test_a_suspended_container_shows_as_such(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(f"{made(205)[0]}; touch $VZQ_NODE_ROOT/vz/dump/Dump.205")
        assert await node.ok("vzctl status 205") == "CTID 205 exist unmounted down suspended\n"
        assert await node.ok("vzlist -a -H -o ctid,status") == "       205 suspended\n"
