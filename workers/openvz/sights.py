"""Reads what `vzq-ct look` and `vzq-ct facts` print (format: ops/docs/node-side.md)."""

import re
from collections.abc import Iterator
from typing import Literal

from models.errors import NodeFault, Unexpected
from workers.commands import Finished
from workers.openvz.conf import parse_conf
from workers.openvz.driver import Abilities, Flow, Sight

CTIDS = range(101, 2_147_483_645)
_PRIVATE: dict[str, Literal["none", "empty", "full"]] = {"none": "none", "empty": "empty", "full": "full"}


class Answer:
    """The `name=value` lines between the head line and `end`, and the conf behind `|`."""

    def __init__(self, head: str, answer: Finished) -> None:
        lines = answer.out.rstrip("\n").split("\n")
        if answer.code or not lines[0].startswith(head) or lines[-1] != "end":
            raise not_understood(head.replace("1 ", " "), answer)
        self._pairs = [line.partition("=")[::2] for line in lines[1:-1] if not line.startswith("|")]
        self.conf = "\n".join(line[1:] for line in lines[1:-1] if line.startswith("|"))

    def text(self, name: str) -> str:
        return next(self.all(name), "")

    def flag(self, name: str) -> bool:
        return self.text(name) == "yes"

    def number(self, name: str) -> int | None:
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() else None

    def all(self, name: str) -> Iterator[str]:
        return (value for key, value in self._pairs if key == name)


def not_understood(words: str, answer: Finished) -> Unexpected:
    """For an answer that is cut off, of another version, or no answer of our program at all."""
    first = (answer.err.strip() or answer.out.strip()).split("\n")[0][:200]
    return Unexpected(
        f"the answer of {words} is not understood (exit {answer.code}: {first!r}); see that the node has the current {words.split(maxsplit=1)[0]}",
        signature=f"{words} {answer.code} unreadable",
    )


def read_sight(answer: Finished) -> Sight:
    """What `look` saw; raises NodeFault where vzctl itself does not work there, Unexpected for any other text."""
    said = Answer("vzq-ct1 look", answer)
    words, private = said.text("status").split(), _PRIVATE.get(said.text("private"))
    head = re.fullmatch(r"vzq-ct1 look ctid=(\d{1,10})", answer.out.split("\n")[0])
    if private is None or head is None:
        raise not_understood("vzq-ct look", answer)
    if not words:
        raise NodeFault(
            f"`vzctl status` tells nothing on the node (exit {said.text('status_rc')}); see that vzctl is installed and works there",
            finding="vzctl does not work",
        )
    return Sight(
        ctid=int(head[1]),
        exists="exist" in words,
        mounted="mounted" in words,
        running="running" in words,
        suspended="suspended" in words,
        conf=parse_conf(said.conf) if said.flag("conf") else None,
        private=private,
        half_made=said.flag("half_made"),
        locked_by=_holder(said),
        stale_lock=said.text("lock") == "stale",
        migrated=said.flag("migrated"),
        boot_id=said.text("boot_id"),
        aside=said.text("aside") or None,
        left_by=said.text("left_by") or None,
        snapshots=tuple(said.all("snapshot")),
        current_snapshot=said.text("snapshot_now"),
    )


_SURVEYED = re.compile(
    r"ct=(?P<ctid>[1-9]\d{2,9}) conf=(?P<conf>yes|no) private=(?P<private>none|empty|full) half_made=(?P<half>yes|no) migrated=(?P<migrated>yes|no)"
    r" lock=(?P<lock>none|live|stale|odd) aside=(?P<aside>-|[0-9A-Z]{26}) left_by=(?P<left_by>-|[0-9A-Z]{26}) fresh=(?P<fresh>yes|no)"
)
_CONF_LINE = re.compile(r"\|([1-9]\d{2,9})\.conf:(.*)", re.DOTALL)


def read_survey(answer: Finished) -> list[Sight]:
    """What `survey` saw, by id; a line that is not understood costs itself only. What runs, it cannot see."""
    lines = answer.out.rstrip("\n").split("\n")
    if answer.code or lines[0] != "vzq-ct1 survey" or lines[-1] != "end":
        raise not_understood("vzq-ct survey", answer)
    confs: dict[int, list[str]] = {}
    seen: dict[int, re.Match[str]] = {}
    for line in lines[1:-1]:
        if (told := _CONF_LINE.fullmatch(line)) is not None:
            confs.setdefault(int(told[1]), []).append(told[2])
        elif (one := _SURVEYED.fullmatch(line)) is not None and CTIDS.start <= int(one["ctid"]) < CTIDS.stop:
            seen.setdefault(int(one["ctid"]), one)
    return [_surveyed(one, confs.get(ctid, [])) for ctid, one in sorted(seen.items())]


def _surveyed(one: re.Match[str], conf: list[str]) -> Sight:
    has_conf = one["conf"] == "yes"
    locked = {"live": "a process on the node", "odd": "nobody known: the lock file holds no process id"}
    return Sight(
        ctid=int(one["ctid"]),
        exists=has_conf and one["private"] != "none",
        mounted=False,
        running=False,
        suspended=False,
        conf=parse_conf("\n".join(conf)) if has_conf else None,
        private=_PRIVATE[one["private"]],
        half_made=one["half"] == "yes",
        locked_by=locked.get(one["lock"]),
        stale_lock=one["lock"] == "stale",
        migrated=one["migrated"] == "yes",
        aside=None if one["aside"] == "-" else one["aside"],
        left_by=None if one["left_by"] == "-" else one["left_by"],
        fresh=one["fresh"] == "yes",
    )


_FLOW = re.compile(
    r"ct=(?P<ctid>[1-9]\d{2,9}) life=(?P<life>[0-9A-Za-z]{0,8}\.\d{1,10}\.\d{1,20})"
    r" in=(?P<in>\d{1,19}) out=(?P<out>\d{1,19}) by=(?P<by>[A-Za-z0-9._,-]*)"
)


def read_traffic(answer: Finished) -> dict[int, Flow]:
    """What `traffic` saw, by id; a line that is not understood costs itself only."""
    lines = answer.out.rstrip("\n").split("\n")
    if answer.code or lines[0] != "vzq-ct1 traffic" or lines[-1] != "end":
        raise not_understood("traffic", answer)
    told = (one for line in lines[1:-1] if (one := _FLOW.fullmatch(line)) is not None)
    found: dict[int, Flow] = {}
    for one in told:
        by = tuple(name for name in one["by"].split(",") if name)
        found.setdefault(int(one["ctid"]), Flow(one["life"], int(one["in"]), int(one["out"]), by))
    return found


def read_used(answer: Finished) -> int:
    """The bytes that `usage` counted."""
    used = Answer("vzq-ct1 usage", answer).number("used_kib")
    if used is None:
        raise not_understood("vzq-ct usage", answer)
    return used * 1024


def _holder(said: Answer) -> str | None:
    if said.text("lock") == "live":
        return f"pid {said.text('lock_pid')}, {said.text('lock_by').strip() or 'a process without a name'}"
    if said.text("lock") == "odd":
        return "nobody known: the lock file holds no process id"
    return None


def read_abilities(answer: Finished) -> Abilities:
    """What `facts` found out."""
    said = Answer("vzq-ct1 facts", answer)
    openvz = said.flag("openvz")
    inodes_free, memory_free = said.number("inodes_free"), said.number("memory_free_kib")
    ids = {int(text) for what in ("conf", "private_area", "tmp", "migrated", "aside") for text in said.all(what) if text.isdigit()}
    return Abilities(
        dialect=said.text("dialect"),
        version=said.text("vzctl"),
        openvz=openvz,
        vswap=said.flag("vswap") or not openvz,  # on an upstream kernel vzctl takes --ram and --swap too
        ploop=said.flag("ploop"),
        checkpointing=said.flag("checkpointing"),
        kernel=said.text("osrelease"),
        arch=said.text("arch"),
        cpus=said.number("cpus") or 0,
        memory_bytes=(said.number("memory_kib") or 0) * 1024,
        swap_bytes=(said.number("swap_kib") or 0) * 1024,
        disk_bytes=(said.number("disk_kib") or 0) * 1024,
        disk_free_bytes=(said.number("disk_free_kib") or 0) * 1024,
        inodes_free=inodes_free,
        memory_free_bytes=None if memory_free is None else memory_free * 1024,
        hostname=said.text("hostname"),
        boot_id=said.text("boot_id"),
        time_s=said.number("time") or 0,
        default_layout=said.text("default_layout"),
        ssh_mux=said.flag("ssh_mux"),
        cpu_flags=tuple(said.text("cpu_flags").split()),
        templates=tuple(sorted(set(said.all("template")))),
        samples=tuple(sorted(set(said.all("sample")))),
        ctids=tuple(sorted(ids - {0})),
    )
