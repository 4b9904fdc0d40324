"""`vzctl` itself: leading options, the container it is about, the lock, and which command does the work."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ops.simnode import lock, vzctl_create, vzctl_destroy, vzctl_exec, vzctl_resume, vzctl_run, vzctl_set, vzctl_snapshot, vzctl_suspend
from ops.simnode.calls import Call, Refused
from ops.simnode.usage import USAGE, VERSION

HIGHEST = 2_147_483_644
Command = Callable[[Call, int, list[str]], Awaitable[int]]


@dataclass(frozen=True)
class Action:
    """A command of vzctl and what is checked before it runs."""

    run: Command
    locks: bool = True
    needs_conf: bool = True


async def _not_on_simfs(call: Call, _ctid: int, _words: list[str]) -> int:
    """Conversion and what nobody asked for yet: the recorded nodes have no ploop."""
    codes = {"snapshot-mount": 160, "snapshot-umount": 161}
    if call.command == "compact":
        await call.out("Compact only makes sense for ploop containers")
        return 0
    if call.command == "convert":
        raise Refused(99, "\n".join(vzctl_create.NO_PLOOP.splitlines()[:3]))
    raise Refused(codes.get(call.command, 167), "Snapshot feature is only available for ploop-based CTs")


ACTIONS: dict[str, Action] = {
    "create": Action(vzctl_create.create, needs_conf=False),
    "set": Action(vzctl_set.set_, needs_conf=False),
    "start": Action(vzctl_resume.start),
    "stop": Action(vzctl_run.stop),
    "restart": Action(vzctl_run.restart),
    "destroy": Action(vzctl_destroy.destroy),
    "delete": Action(vzctl_destroy.destroy),
    **dict.fromkeys(("suspend", "chkpnt"), Action(vzctl_suspend.suspend)),
    **dict.fromkeys(("resume", "restore"), Action(vzctl_resume.resume)),
    "mount": Action(vzctl_run.mount),
    "umount": Action(vzctl_run.umount),
    "status": Action(vzctl_run.status, locks=False, needs_conf=False),
    "exec": Action(vzctl_exec.exec_, locks=False),
    "exec2": Action(vzctl_exec.exec2, locks=False),
    "exec3": Action(vzctl_exec.exec3, locks=False),
    "enter": Action(vzctl_exec.enter, locks=False),
    "runscript": Action(vzctl_exec.runscript),
    "snapshot": Action(vzctl_snapshot.snapshot),
    "snapshot-switch": Action(vzctl_snapshot.switch),
    "snapshot-delete": Action(vzctl_snapshot.delete),
    "snapshot-list": Action(vzctl_snapshot.list_, locks=False),
    **dict.fromkeys(("snapshot-mount", "snapshot-umount", "compact", "convert"), Action(_not_on_simfs)),
}


async def vzctl(call: Call) -> int:
    """Run one vzctl command line and return its exit code."""
    words = list(call.words)
    skip_lock = False
    while words and words[0].startswith("--"):
        option = words.pop(0)
        if option == "--version":
            await call.print(f"{VERSION}\n")
            return 0
        call.quiet |= option == "--quiet"
        skip_lock |= option == "--skiplock"
        if option not in ("--quiet", "--verbose", "--skiplock"):
            raise Refused(20, f"Bad command: {option}")
    if not words:
        await call.noise(USAGE)
        return 20
    action = ACTIONS.get(words[0])
    if action is None:
        raise Refused(20, f"Bad command: {words[0]}")
    call.command = words[0]
    if len(words) < 2:
        raise Refused(21, "CT ID missing")
    call.ctid = _container(call, words[1])
    if call.ctid == 0 and call.command not in ("set", "status"):
        raise Refused(21, "Only set actions are allowed for CT0")
    if call.command != "status":
        call.log_messages()
    return await _run(call, action, call.ctid, words[2:], locks=action.locks and not skip_lock)


async def _run(call: Call, action: Action, ctid: int, words: list[str], *, locks: bool) -> int:
    await call.node.warn_of_broken_lines(call, ctid)
    if action.needs_conf and not call.node.sandbox.conf(ctid).exists():
        raise Refused(14, "Container config file does not exist")
    await call.phase("begin")
    if not locks:
        return await action.run(call, ctid, words)
    await lock.take(call, ctid)
    # No `finally`: a killed call leaves its lock, as a killed vzctl does.
    try:
        await call.phase("locked")
        code = await action.run(call, ctid, words)
    except Exception:
        lock.give_back(call, ctid)
        raise
    lock.give_back(call, ctid)
    return code


def _container(call: Call, word: str) -> int:
    """The CTID that a number or a name means."""
    if word.isdigit() and int(word) <= HIGHEST:
        return int(word)
    link = call.node.sandbox.names_dir / word
    if not word.isdigit() and "/" not in word and link.is_symlink():
        return int(link.readlink().name.removesuffix(".conf"))
    raise Refused(21, f"Bad CT ID {word}")
