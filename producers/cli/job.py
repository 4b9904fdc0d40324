"""`vzq job`: what became of orders, why they wait, and what a person may do about it."""

from typing import Annotated

import typer
from sqlmodel import col, select

from models.jobs import Job
from models.kinds import KINDS
from models.lifecycle import FINAL, State
from producers.audit import audit
from producers.cli import complete, door
from producers.cli.door import elsewhere
from producers.cli.options import Because, By, Json, Timeout, Wait, asker
from producers.cli.screen import as_json, clock_time, say, short, table, warn
from producers.cli.story import COLUMNS, RIGHT, empty, rows, show
from producers.jobs import CHOICES, Choice, find
from producers.refusals import BadOrder
from producers.shapes import job_shape
from producers.story import story, whole_shape

app = typer.Typer(no_args_is_help=True, help="List, show, follow, explain, cancel, retry and resolve jobs.")
Id = Annotated[str, typer.Argument(metavar="JOB", autocompletion=complete.jobs, help="A job's id or its ending, four letters at least.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", autocompletion=complete.jobs, help="Jobs' ids or endings; all open jobs if left out.")
]
SomeIds = Annotated[list[str], typer.Argument(metavar="JOB...", help="Jobs' ids or endings.")]


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option("--state", help="Only this state; may be repeated. `open` is all that have not ended.")] = None,
    node: Annotated[str | None, typer.Option("--node", help="Only this node's.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind, e.g. create-container.")] = None,
    request: Annotated[str | None, typer.Option("--request", help="Only what came with this HTTP request (X-Request-ID).")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """The newest jobs first."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_list(state=[str(one) for one in _states(state or [])], node=node, kind=kind, request=request, limit=limit, json=json)
        return
    query = select(Job).order_by(col(Job.id).desc()).limit(limit)
    if state:
        query = query.where(col(Job.state).in_(_states(state)))
    if node is not None:
        query = query.where(Job.node == node)
    if request is not None:
        query = query.where(Job.request == request)
    if kind is not None:
        if kind not in KINDS:
            raise BadOrder({"--kind": f"there is no kind {kind!r}; known: {', '.join(KINDS)}"})
        query = query.where(Job.kind == kind)
    with door.database() as database, database.read() as session:
        jobs = session.exec(query).all()
        now = database.now(session)
    if json:
        as_json([job_shape(job) for job in jobs])
        return
    table(COLUMNS, rows(jobs, now=now), empty=empty(state, node, kind, request), right=RIGHT)
    if len(jobs) == limit:
        warn(f"the newest {limit} are shown; more with --limit")


@app.command("show")
def show_(job: Id, json: Json = False) -> None:
    """The whole story of a job on one screen."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_show(job, json=json)
        return
    from producers.why import why as reasons_of  # noqa: PLC0415 - admission is only needed here

    with door.database() as database, database.read() as session:
        told = story(session, find(session, job))
        reasons = [] if told.job.ended else reasons_of(database, session, told.job)
    as_json(whole_shape(told)) if json else show(told, waits=[reason.text for reason in reasons])


@app.command()
def watch(jobs: Ids = None, timeout: Timeout = None, json: Json = False) -> None:
    """Follow jobs live until they end; exit 0 when all are done, 1 when not. With --json one event a line."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_watch(jobs, timeout=timeout, json=json)
        return
    from producers.cli.follow import follow  # noqa: PLC0415 - only who waits needs it

    with door.database() as database:
        with database.read() as session:
            if jobs:
                ids = [find(session, job).id for job in jobs]
            else:
                ids = list(session.exec(select(Job.id).where(col(Job.state).in_([state for state in State if state not in FINAL])).order_by(Job.id)))
        if not ids:
            warn("no job is open")
            return
        raise typer.Exit(follow(database, ids, json=json, timeout_s=timeout))


@app.command()
def wait(jobs: SomeIds, timeout: Timeout = None, json: Json = False) -> None:
    """Wait in silence until jobs end; exit 0 when all are done, 1 when not. With --json the jobs as an array."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_watch(jobs, timeout=timeout, json=json, quiet=True)
        return
    from producers.cli.follow import follow  # noqa: PLC0415 - as above

    with door.database() as database:
        with database.read() as session:
            ids = [find(session, job).id for job in jobs]
        raise typer.Exit(follow(database, ids, json=json, quiet=True, timeout_s=timeout))


@app.command()
def why(job: Id, json: Json = False) -> None:
    """Why a job has not ended yet: what holds it, and until when where that is known."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_why(job, json=json)
        return
    from producers.why import why as reasons_of  # noqa: PLC0415 - admission is only needed here

    with door.database() as database, database.read() as session:
        found = find(session, job)
        reasons = reasons_of(database, session, found)
    if json:
        as_json([{"code": reason.code, "text": reason.text, "until": reason.until, "holder": reason.holder} for reason in reasons])
        return
    for reason in reasons:
        until = f" (until {clock_time(reason.until)})" if reason.until else ""
        holder = f" [job {short(reason.holder)}]" if reason.holder and short(reason.holder) not in reason.text else ""
        say(f"{reason.code}: {reason.text}{until}{holder}")
    if not reasons:
        say("nothing holds it: it goes with the next round")


@app.command()
def cancel(job: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Take a job back; says what will happen."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_act(job, "cancel", because=because, json=json)
        return
    from producers.jobs import cancel as take_back  # noqa: PLC0415 - named like the command

    with door.house() as house:
        with house.database.write() as session:
            found = find(session, job)
            sentence = take_back(house.database, session, found, by=asker(by), because=because)
        house.bell.wake()
        as_json({"job": found.id, "state": str(found.state), "what": sentence}) if json else say(f"{short(found.id)}: {sentence}")


@app.command()
def password(job: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Show the root password that a job generated; it can be had once."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_act(job, "password", because=because, json=json)
        return
    from producers.passwords import hand_out  # noqa: PLC0415 - only needed here

    with door.house() as house:
        with house.database.write() as session:
            found = find(session, job)
            shown = hand_out(session, house.vault, found)
            audit(session, at=house.database.now(session), by=asker(by), action="job password", subject=f"job:{found.id}", because=because)
        as_json({"job": found.id, "password": shown}) if json else say(shown)


@app.command()
def retry(job: Id, by: By = "", because: Because = "", wait: Wait = False, timeout: Timeout = None, json: Json = False) -> None:
    """Place the order of an ended job again, as a new job that names the old one; prints the new job's id."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.job_act(job, "retry", because=because, json=json, wait=wait, timeout=timeout)
        return
    from producers.cli.follow import follow  # noqa: PLC0415 - as above
    from producers.jobs import retry as again  # noqa: PLC0415 - named like the command

    with door.house() as house:
        with house.database.write() as session:
            accepted = again(house.intake, house.vault, session, find(session, job), by=asker(by), because=because)
        house.bell.wake()
        if wait:
            raise typer.Exit(follow(house.database, [accepted.job.id], json=json, timeout_s=timeout))
        as_json({"job": accepted.job.id, "replay": accepted.replay}) if json else say(accepted.job.id)


@app.command()
def resolve(
    job: Id,
    choice: Annotated[str, typer.Argument(metavar="[CHOICE]", help="; ".join(f"{name}: {what}" for name, (_, what) in CHOICES.items()))] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the choice would do; nothing is written.")] = False,
    node_lost: Annotated[bool, typer.Option("--node-lost", help="Its node is gone for good: its jobs go elsewhere or end.")] = False,
    timeout: Timeout = None,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Decide about a stuck job; without a choice a worker looks at its container, and each choice is told with what it would do."""
    if node_lost and (choice or dry_run):
        raise BadOrder({"--node-lost": "stands alone"})
    if elsewhere():
        from producers.cli import remote_resolving  # noqa: PLC0415 - needs httpx

        remote_resolving.resolve(job, choice and _choice(choice), dry_run=dry_run, node_lost=node_lost, because=because, timeout=timeout, json=json)
        return
    from producers.cli import resolving  # noqa: PLC0415 - only here

    if node_lost:
        resolving.lose(job, by=asker(by), because=because, json=json)
    elif not choice:
        resolving.look(job, by=asker(by), because=because, timeout=timeout, json=json)
    elif dry_run:
        resolving.rehearse(job, _choice(choice), json=json)
    else:
        resolving.decide(job, _choice(choice), by=asker(by), because=because, json=json)


def _states(wanted: list[str]) -> list[State]:
    states: set[State] = set()
    for word in wanted:
        if word == "open":
            states |= set(State) - FINAL
        elif word in set(State):
            states.add(State(word))
        else:
            raise BadOrder({"--state": f"there is no state {word!r}; known: open, {', '.join(State)}"})
    return sorted(states)


def _choice(text: str) -> Choice:
    for choice in CHOICES:
        if choice == text:
            return choice
    raise BadOrder({"CHOICE": f"{text!r} is none of {', '.join(CHOICES)}"})
