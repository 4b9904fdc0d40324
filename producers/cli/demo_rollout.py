"""`vzq demo rollout`: an update of many containers goes wrong in a canary and stops, is mended, and reaches all; the nodes say which have it."""

import asyncio
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from sqlmodel import col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, Target
from models.fleet import Node
from models.jobs import Job
from models.lifecycle import State
from models.orders import AdoptContainer
from models.rollouts import RolloutSpec
from producers.campaigns import control
from producers.cli.campaign_doors import Here
from producers.cli.demo_progress import Progress
from producers.cli.demo_stage import ENOUGH_S, stage
from producers.cli.failures import FAILED, NOT_REACHED
from producers.cli.follow import watch
from producers.cli.rollout_sheet import rules
from producers.cli.rollout_watch import STOPPED_BY_GUARD, follow
from producers.cli.screen import say, warn
from producers.embedded import lab
from producers.embedded.auditor import SilentNodeError, look, releases
from producers.embedded.bring_up import Embedded
from producers.embedded.programs import environment, python
from producers.rollouts.start import plan, start

CONTAINERS, NODES = 300, 10
SPEED = 0.0  # three hundred containers are to be seen, not their latencies
ASKER = "vzq demo"
FIRST = 1001
CANARIES = (FIRST, FIRST + 1, FIRST + 2)
BAD = CANARIES[-1]
RELEASE = "vzq-demo-release"  # what the update leaves in a container, from the root on
UPDATE = f"echo {{release}} > {RELEASE} && cat {RELEASE}\n"
WRONG = 'case $(hostname) in {bad}) echo "update: no configuration for $(hostname)" >&2; exit 1;; esac\n'


@dataclass(frozen=True)
class Ran:
    """How one run ended, as its report has it."""

    code: int
    counts: Mapping[Outcome, int]
    failed: list[int]
    reached: list[int]


def update(containers: int, *, speed: float | None, state: Path | None) -> str:
    """Play it; the line it ended with. Raises typer.Exit where the runs or the nodes do not say what they should."""
    with stage(nodes=NODES, speed=SPEED if speed is None else speed, state=state) as played:
        complaints, line = _play(played.embedded, containers)
        played.good = not complaints
    for complaint in complaints:
        warn(complaint)
    say(line)
    if complaints:
        raise typer.Exit(FAILED)
    return line


def _play(embedded: Embedded, number: int) -> tuple[list[str], str]:
    begun = time.monotonic()
    say(f"{number} containers stand on {NODES} nodes, made by hand; orders take them into the books")
    _taken_in(embedded, number)
    say(f"in the books after {time.monotonic() - begun:.1f} s")
    say("")
    runs = time.monotonic()
    say("first run: the update has a fault that shows in one canary")
    first = _run(embedded, "broken-update", WRONG.format(bad=_hostname(BAD)) + UPDATE.format(release=1))
    for line in _no_way_back(embedded):
        say(line)
    say("")
    say("second run: the update is mended")
    second = _run(embedded, "mended-update", UPDATE.format(release=2))
    say(f"both runs took {time.monotonic() - runs:.1f} s; now the nodes are asked which containers have the update")
    try:
        found = asyncio.run(look(embedded.nodes, embedded.house.settings.ssh_key_file))
        have = asyncio.run(releases(embedded.nodes, embedded.house.settings.ssh_key_file, RELEASE))
    except SilentNodeError as error:
        warn(error)
        raise typer.Exit(NOT_REACHED) from None
    running = Counter(met.ctid for met in found if met.running)
    updated = sum(have.get(ctid) == "2" for ctid in running)
    complaints = [*_first_wrong(first, number), *_second_wrong(second, number)]
    complaints += [f"{updated} of {number} have it, as the nodes say"] * (updated != number)
    complaints += [f"container {ctid} runs {copies} times" for ctid, copies in running.items() if copies > 1]
    lost = number - len(running)
    line = f"{updated} of {number} containers updated, {len(first.failed)} bad canary stopped the first run, {lost} lost"
    return complaints, line


def _first_wrong(ran: Ran, number: int) -> list[str]:
    """What is not as a stopped run should be."""
    wrong = [] if ran.code == STOPPED_BY_GUARD else [f"the first run ended with {ran.code} instead of {STOPPED_BY_GUARD}, stopped by its guard"]
    wrong += [] if ran.failed == [BAD] else [f"the first run failed in {ran.failed} instead of {BAD}"]
    wrong += [] if set(ran.reached) <= set(CANARIES) else ["the first run went beyond its canaries"]
    return wrong + _adds_up(ran, number)


def _second_wrong(ran: Ran, number: int) -> list[str]:
    wrong = [] if ran.code == 0 and ran.counts[Outcome.OK] == number else [f"the second run ended with {ran.code}: {dict(ran.counts)}"]
    return wrong + _adds_up(ran, number)


def _adds_up(ran: Ran, number: int) -> list[str]:
    total = sum(ran.counts.values())
    return [] if total == number else [f"the report counts {total} targets of {number}"]


def _run(embedded: Embedded, name: str, text: str) -> Ran:
    """One roll-out to its end."""
    house = embedded.house
    spec = RolloutSpec.model_validate({
        "name": name,
        "selector": {"names": ["web*"]},
        "action": {"do": "script", "text": text, "interpreter": "sh", "timeout": "1m"},
        "waves": {"canaries": CANARIES},
        "at_once": {"all": 40, "per_node": 4},
        "budget": {"failures": 39, "rate": None, "canaries": 0},
    })  # fmt: skip
    with house.database.write() as session:
        sheet = plan(house.database, session, spec)
        campaign_id = start(house.database, house.intake, session, spec, by=ASKER, because="demo").campaign.id
    rules(sheet)
    house.bell.wake()
    code = follow(Here(house.database), campaign_id, timeout_s=ENOUGH_S, pause=embedded.mind)
    with house.database.read() as session:
        targets = session.exec(select(Target).where(Target.campaign_id == campaign_id).order_by(col(Target.place))).all()
        counts = control.counts(session, [session.get_one(Campaign, campaign_id).id])[campaign_id]
    for target in targets:
        if target.outcome is Outcome.FAILED:
            say(f"  container {target.ctid} ({target.title}): {target.reason}")
    return Ran(
        code,
        counts,
        failed=[target.ctid or 0 for target in targets if target.outcome is Outcome.FAILED],
        reached=[target.ctid or 0 for target in targets if target.job_id is not None],
    )


def _no_way_back(embedded: Embedded) -> list[str]:
    """Why nothing is reverted: a snapshot needs ploop."""
    with embedded.house.database.read() as session:
        able = any(node.abilities.get("ploop") for node in session.exec(select(Node)).all())
    why = "its specification asks for no snapshot" if able else "these nodes have no ploop, and no other layout takes snapshots"
    return [f"  nothing is reverted: {why};", "  what the script changed until it failed stays, and the report names the container"]


# -- the fleet before the first run -------------------------------------------------------------------------------


def _taken_in(embedded: Embedded, number: int) -> None:
    """Containers as an administrator would have made them, and an order for each that takes it into the books."""
    house = embedded.house
    addresses = lab.addresses(house)
    made = [(embedded.nodes[index % NODES].name, FIRST + index, str(next(addresses))) for index in range(number)]
    asked = {"op": "stranger", "running": True}
    _made_by_hand(embedded, [asked | {"node": node, "ctid": ctid, "hostname": _hostname(ctid), "address": address} for node, ctid, address in made])
    with house.database.write() as session:
        ids = [house.intake.submit(session, AdoptContainer(node=node, ctid=ctid), by=ASKER, because="demo").job.id for node, ctid, _ in made]
    house.bell.wake()
    view = Progress(ids, every_s=3.0)
    try:
        watch(house.database, ids, view, timeout_s=ENOUGH_S, pause=embedded.mind)
    finally:
        view.close()
    with house.database.read() as session:
        bad = session.exec(select(Job).where(Job.kind == "adopt-container", Job.state != State.DONE)).first()
    if bad is not None:
        warn(f"job {bad.id} ({bad.kind}) is {bad.state}: {bad.error}")
        raise typer.Exit(FAILED)


def _made_by_hand(embedded: Embedded, requests: Sequence[Mapping[str, Any]]) -> None:
    settings = embedded.house.settings
    argv = python("ops.simnode", "ctl", "--state", str(settings.state / "lab"), "-")
    done = subprocess.run(argv, input=json.dumps(requests), env=dict(os.environ) | environment(settings), capture_output=True, text=True, check=False)
    if done.returncode:
        warn(f"the simulated nodes did not take their containers: {done.stderr.strip()}")
        raise typer.Exit(FAILED)


def _hostname(ctid: int) -> str:
    return f"web{ctid}"
