"""The stand-in node keeps the contract that the simulated node keeps with the real runner over SSH: the same words, the same answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash import virtual_time
from tests.crash.node import StandInNode
from tests.simnode.labs import Remote, node_in
from tests.stand_ins import ManualClock
from workers.commands import Command, Finished
from workers.node.answers import LINE
from workers.node.install import programs
from workers.openvz.driver import Identity, Limits
from workers.openvz.vzctl import Vzctl
from workers.transport.ssh import one_line

CT, TEMPLATE, SAMPLE = 205, "busybox-mini-x86_64", "vswap-256m"
A, B = "01KJQ77YK8R84P57VFQVC2R1YD", "01KJQF0JYDXG9D5284DMT028JS"
LIMITS = Limits(256 << 20, 64 << 20, 2 << 30, None, 2, 2000)
V = Vzctl()
Answers = list[tuple[str, object]]
Asking = Callable[[Sequence[str], bytes], Awaitable[bytes]]


@dataclass(frozen=True)
class Begin:
    """A step through vzq-run; the same name twice is the same try."""

    step: str
    command: Command
    token: int = 1
    job: str = A
    verb: str = "begin"


def begins(*commands: Command, job: str = A) -> list[Begin | str]:
    return [Begin(f"s{number}", command, job=job) for number, command in enumerate(commands)]


def made(job: str = A) -> list[Command]:
    create = V.create(CT, template=TEMPLATE, layout="simfs", limits=LIMITS)
    return [V.plant(CT, job, sample=SAMPLE, layout="simfs"), create, V.set_limits(CT, LIMITS)]


def named(*commands: Command, after: int, job: str = A) -> list[Begin | str]:
    return [Begin(f"later{after}-{number}", command, job=job) for number, command in enumerate(commands)]


IDENTITY = Identity("a.example.net", "web-a", "vzq job", ("9.9.9.9", "8.8.8.8"))
SET_UP = [V.set_identity(CT, IDENTITY), V.add_addresses(CT, ["127.64.9.1", "127.64.9.2"]), V.set_onboot(CT, onboot=True)]
MISSING = Command("create", ["vzctl", "create", str(CT), "--ostemplate", "no-such-template"])
STORIES: dict[str, list[Begin | str]] = {
    "a whole life": [
        "look", *begins(*made()), "look", *named(*SET_UP, V.start(CT), V.set_password(CT, "root", "sesame-open-9"), after=1), "alive", "look",
        *named(V.remove_addresses(CT, ["127.64.9.1"]), V.set_limits(CT, LIMITS), V.stop(CT), V.set_disabled(CT, disabled=True), after=2),
        "alive", "look",
        *named(V.start(CT), V.destroy(CT), after=3), "look", *named(V.unplant(CT, A), after=4), "look",
    ],
    "what is so already, or cannot be": [
        *begins(V.start(CT), V.destroy(CT), V.adopt(CT, A)),
        *named(*made(), V.plant(CT, A, sample=SAMPLE, layout="simfs"), *made()[1:2], after=1),
        *named(V.start(CT), V.start(CT), V.destroy(CT), V.clean(CT, A), V.unplant(CT, A), V.stop(CT), V.stop(CT), V.umount(CT), after=2), "look",
    ],
    "somebody else's": [
        *begins(*made(B), job=B), *named(*made()[:1], V.clean(CT, A), V.unplant(CT, A), V.adopt(CT, A), V.disown(CT, A), V.sweep(CT), after=1),
        *named(V.aside(CT, A, A), V.drop(CT, A), V.back(CT, A), after=2), "look", *named(V.disown(CT, B), V.adopt(CT, A), after=3), "look",
    ],
    "a template that is not there": [*begins(made()[0], MISSING), "look", *named(V.clean(CT, A), V.unplant(CT, A), after=1), "look"],
    "a system put aside, and the new one kept": [
        *begins(*made(), V.aside(CT, B, A)), "look", *named(*made(B), V.keys(CT, B), V.back(CT, B), V.start(CT), after=1, job=B), "look",
        *named(V.drop(CT, B), V.drop(CT, B), V.unlock(CT), after=2), "look",
    ],
    "a system put aside that comes back": [
        *begins(*made(), V.aside(CT, B, A), V.aside(CT, B, A)), *named(*made(B), V.destroy(CT), V.clean(CT, B), V.unplant(CT, B), after=1, job=B),
        "look",
        *named(V.back(CT, B), V.back(CT, B), after=2), "look",
    ],
    "one step, one effect": [
        Begin("plant", made()[0], 5), Begin("plant", made()[0], 5), Begin("plant", made()[0], 7), Begin("make", made()[1], 6),
        Begin("make", made()[1], 7),
        "fence 9", Begin("limits", made()[2], 8), Begin("limits", made()[2], 9, verb="attach"), Begin("limits", made()[2], 9), "fence 9", "look",
    ],
}  # fmt: skip


async def told(story: Sequence[Begin | str], run: Asking, direct: Asking) -> Answers:
    """What the node answers, without what may differ: seconds, texts, process ids."""
    answers: Answers = []
    for line in story:
        if isinstance(line, Begin):
            words = [line.verb, str(CT), str(line.token), line.job, line.step, "do", "1", "20"]
            words += [str(len(line.command.stdin)), "--", *line.command.argv] if line.verb == "begin" else []
            said = await run(["vzq-run", *words], line.command.stdin if line.verb == "begin" else b"")
            answers.append((f"{line.verb} {' '.join(line.command.argv[:2])}", said.decode().partition(" seconds=")[0].partition("\n")[0]))
        elif line.startswith("fence"):
            head, *rest = (await run(["vzq-run", "fence", str(CT), line.split()[1], A], b"")).decode().splitlines()
            runs = sorted((found["step"], found["outcome"], found["rc"] or "") for text in rest if (found := LINE.fullmatch(text)))
            answers.append((line, (head, runs)))
        elif line == "alive":
            command = V.exec_true(CT)
            answers.append((line, "vzq-alive" in (await direct(command.argv, b"")).decode()))
        else:
            answers.append((line, seen((await direct(V.look(CT).argv, b"")).decode())))
    return answers


def seen(text: str) -> dict[str, object]:
    sight = V.sight(Finished(0, text, ""))
    conf = sight.conf or {}
    return {
        "state": (sight.exists, sight.private, sight.half_made, sight.mounted, sight.running, sight.locked_by is not None),
        "whose": (sight.marker, sight.left_by, sight.aside),
        "limits": V.has_limits(sight, LIMITS),
        "set": [conf.get(key) or "" for key in ("HOSTNAME", "NAME", "NAMESERVER", "ONBOOT", "DISABLED", "OSTEMPLATE", "ORIGIN_SAMPLE", "VE_LAYOUT")],
        "addresses": sorted(sight.addresses),
    }


def of_stand_in(story: Sequence[Begin | str]) -> Answers:
    node = StandInNode("n1", templates=(TEMPLATE,))

    async def run(argv: Sequence[str], stdin: bytes) -> bytes:
        return await node.vzq_run(list(argv[1:]), stdin)

    async def direct(argv: Sequence[str], _stdin: bytes) -> bytes:
        return node.directly(list(argv))[1].encode()

    answers: Answers = virtual_time.run(ManualClock(), told(story, run, direct))
    return answers


async def of_simulated_node(story: Sequence[Begin | str], node: Remote) -> Answers:
    folder = node.root / "var/lib/vzq/bin"
    folder.mkdir(parents=True)
    for name, text in programs().items():
        (folder / name).write_bytes(text)
        (folder / name).chmod(0o755)

    async def ask(argv: Sequence[str], stdin: bytes) -> bytes:
        return (await node.run(one_line(argv), stdin=stdin)).out.encode()

    return await told(story, ask, ask)


@pytest.mark.parametrize("name", STORIES)
def test_both_nodes_answer_alike(name: str, tmp_path: Path) -> None:
    async def simulated() -> Answers:
        async with node_in(tmp_path / "lab") as node:
            return await of_simulated_node(STORIES[name], node)

    for mine, its in zip(of_stand_in(STORIES[name]), asyncio.run(simulated()), strict=True):
        assert mine == its
