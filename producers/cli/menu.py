"""Which commands there are and where each lives; the module of a command is loaded when it is called, not before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from producers.cli.empty import folder, guard, refuse_empty
from producers.cli.screen import drop_output

READER_GONE = 141  # as a shell tells of a program that SIGPIPE has ended
DAILY, HOUSE = "Orders, jobs, fleet", "The house itself"


@dataclass(frozen=True)
class Entry:
    """A command: its line in `vzq --help`, and the Typer or function behind it."""

    module: str
    name: str
    help: str
    panel: str = DAILY


MENU: dict[str, Entry] = {
    "order": Entry("producers.cli.order", "app", "Order a container, or a whole file of orders."),
    "job": Entry("producers.cli.job", "app", "List, show, follow, explain, cancel, retry and resolve jobs."),
    "container": Entry("producers.cli.container", "app", "List, show, start, stop, resize, … containers."),
    "migrate": Entry("producers.cli.migrate", "migrate", "Move a container to another node, or look whether it could be moved."),
    "exec": Entry("producers.cli.exec", "exec_", "Run a command in many containers at once."),
    "console": Entry("producers.cli.house", "console", "Sit before a container: a shell inside it, on this terminal."),
    "node": Entry("producers.cli.node", "app", "Take nodes into the fleet, look at them, drain them."),
    "rollout": Entry("producers.cli.rollout", "app", "Update many containers in waves, under one guard."),
    "schedule": Entry("producers.cli.schedule", "app", "Roll-outs that begin by the clock."),
    "fleet": Entry("producers.cli.relocation", "fleet", "Even out the load of many nodes, or reboot them one after the other."),
    "campaign": Entry("producers.cli.campaign", "app", "Evacuations, returns, rolling reboots, roll-outs: follow, hold, end one."),
    "finding": Entry("producers.cli.finding", "app", "What is not as the books say, and the orders that mend it."),
    "downtime": Entry("producers.cli.downtime", "downtime", "How long containers did not answer, and why."),
    "signature": Entry("producers.cli.signature", "app", "Answers of nodes that vzq does not know, grouped: what they are about, and what to do."),
    "pause": Entry("producers.cli.pause", "pause", "Begin nothing more of everything, a site, a node, a kind, a producer; list it."),
    "resume": Entry("producers.cli.pause", "resume", "End a pause."),
    "plan": Entry("producers.cli.plan", "app", "The sizes that can be ordered."),
    "pool": Entry("producers.cli.pool", "app", "The addresses that containers get."),
    "webhook": Entry("producers.cli.webhook", "app", "Who is told of events, and what became of each delivery."),
    "token": Entry("producers.cli.token", "app", "Who may use the HTTP API."),
    "audit": Entry("producers.cli.audit", "audit", "Who did what, and why."),
    "up": Entry("producers.cli.up", "up", "Bring up a whole house on this machine.", HOUSE),
    "demo": Entry("producers.cli.demo", "demo_app", "Show what vzq can do, on simulated nodes.", HOUSE),
    "doctor": Entry("producers.cli.doctor", "doctor", "Examine this installation and say what is wrong.", HOUSE),
    "service": Entry("producers.cli.house", "service", "Run the service: dispatcher, periodic orders, metrics.", HOUSE),
    "worker": Entry("producers.cli.house", "worker", "Run a worker on this management host.", HOUSE),
    "backup": Entry("producers.cli.backup", "backup", "Write a backup, while everything runs.", HOUSE),
    "restore": Entry("producers.cli.restore", "restore", "Bring a house back from a backup.", HOUSE),
    "prune": Entry("producers.cli.prune", "prune", "Forget history by age now, as the service does by itself.", HOUSE),
    "upgrade": Entry("producers.cli.house", "upgrade", "Bring the database schema up to date.", HOUSE),
    "key": Entry("producers.cli.house", "key", "Print this management host's public ssh key.", HOUSE),
}


def load(name: str) -> Any:  # noqa: ANN401 - typer keeps the type of its commands private
    """The command behind an entry of the menu, ready to be called."""
    entry = MENU[name]
    found = getattr(import_module(entry.module), entry.name)
    if isinstance(found, typer.Typer):
        found.pretty_exceptions_enable = False
        command: Any = get_group(found)  # without the options about completion, which are vzq's own
    else:
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name, help=found.__doc__)(found)
        command = get_command(alone)
    command.name = name
    guard(command)
    return command


class Menu(TyperGroup):
    """Loads late, and has the last word on whatever a command raises."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as above
        """The command that is called, with its module loaded; `--help` and completion see only the menu."""
        if args and args[0] in self.commands:
            self.commands[args[0]] = load(args[0])
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **given: Any) -> Any:  # noqa: ANN401 - as above
        """What was asked for is read; help is printed here."""
        with _told():
            return super().make_context(*args, **given)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Run the command."""
        with _told():
            refuse_empty(ctx)
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    """Whatever is raised becomes a sentence and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise
    except BrokenPipeError:  # whoever read has had enough: `vzq job show … | head`
        drop_output()
        raise typer.Exit(READER_GONE) from None
    except Exception as error:
        from producers.cli.failures import report  # noqa: PLC0415 - needs the database's modules

        code = report(error)
        if code is None:
            raise  # a fault of ours: the trace is what helps
        raise typer.Exit(code) from None


app = typer.Typer(
    cls=Menu,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An event-driven job queue for OpenVZ: provisioning, roll-outs and migrations with exactly one effect.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vzq {version('vzq')}")
        raise typer.Exit


@app.callback()
def everywhere(
    state: Annotated[
        Path | None, typer.Option("--state", help="State folder of an embedded house (VZQ_STATE).", parser=folder, metavar="DIR")
    ] = None,
    database: Annotated[str, typer.Option("--database", help="SQLAlchemy URL (VZQ_DATABASE); give one with a password in the environment.")] = "",
    url: Annotated[str, typer.Option("--url", help="A house elsewhere, over its HTTP API: https://HOST:9080 (VZQ_URL).")] = "",
    token: Annotated[str, typer.Option("--token", help="Token for --url; everybody on this machine can read it here, better VZQ_TOKEN.")] = "",
    _version: Annotated[bool, typer.Option("--version", help="Tell the version and exit.", callback=_tell_version, is_eager=True)] = False,
) -> None:
    """What holds for every command; programs that are started from here find it in their environment."""
    if state is not None:
        os.environ["VZQ_STATE"] = str(state.absolute())
    for name, value in (("VZQ_URL", url), ("VZQ_TOKEN", token)):
        if value:
            os.environ[name] = value
    if database:
        if "password=" in database or ":" in database.partition("://")[2].rpartition("@")[0]:
            raise typer.BadParameter("a password on the command line can be read by everybody on this machine; put the URL into VZQ_DATABASE")
        os.environ["VZQ_DATABASE"] = database


def _listed(name: str, entry: Entry) -> None:
    def stub() -> None:
        raise AssertionError(name)  # replaced by `load` before anybody calls it

    app.command(name, help=entry.help, rich_help_panel=entry.panel)(stub)


for _name, _entry in MENU.items():
    _listed(_name, _entry)
