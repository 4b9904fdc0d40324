"""vzctl exec, exec2, exec3, enter and runscript: real processes, with vzctl's loss of quotes and its exit codes."""

import asyncio
import os
import signal

from ops.simnode import inside
from ops.simnode.calls import Call, Refused
from ops.simnode.processes import Process
from ops.simnode.terminal import Terminal
from ops.simnode.vzctl_run import UNPRIVILEGED

NOT_RUNNING = "Container is not running"


def _running(call: Call, ctid: int, code: int) -> None:
    state = call.node.state(ctid)
    if not state.running:
        raise Refused(code, NOT_RUNNING)
    if state.frozen:
        raise Refused(8 if code == 8 else 7, "Unable to enter: container is locked by a checkpoint")


async def _ended(call: Call, argv: list[str], ctid: int) -> int:
    """The command's exit code; 3 and a word on stderr for a death by signal. It outlives its caller."""
    code = await _begun(call, argv, ctid).ended()
    if code < 0:
        await call.err(f"Got signal {-code}")
        return 3
    return code


def _begun(call: Call, argv: list[str], ctid: int, terminal: int | None = None) -> Process:
    try:
        return inside.begin(call, ctid, argv, terminal=terminal)
    except OSError as error:
        raise Refused(127, f"Unable to exec {argv[0]}: {error.strerror}") from None


async def _ended_on_terminal(call: Call, argv: list[str], ctid: int) -> None:
    """It ends with its caller, whose terminal is hung up then."""
    terminal = Terminal(call.files)
    try:
        process = _begun(call, argv, ctid, terminal.slave)
        terminal.begin()
        await process.ended()
    except asyncio.CancelledError:
        process.send(signal.SIGHUP)
        raise
    finally:
        await asyncio.shield(asyncio.to_thread(terminal.close))


async def exec2(call: Call, ctid: int, words: list[str]) -> int:
    """Words joined by blanks for a shell, `-`: a script on stdin; the command's own exit code."""
    if not words:
        raise Refused(20, "No command line given for exec")
    _running(call, ctid, 31)
    shell = call.node.shell_inside(ctid)
    await call.phase("enter")
    return await _ended(call, [shell] if words == ["-"] else [shell, "-c", " ".join(words)], ctid)


async def exec_(call: Call, ctid: int, words: list[str]) -> int:
    """As exec2, but whatever went wrong is 8."""
    try:
        return 8 if await exec2(call, ctid, words) else 0
    except Refused as refused:
        raise Refused(refused.code if refused.code == 20 else 8, refused.message) from None


async def exec3(call: Call, ctid: int, words: list[str]) -> int:
    """The words as they are, without a shell."""
    if not words:
        raise Refused(20, "No command line given for exec")
    _running(call, ctid, 31)
    await call.phase("enter")
    return await _ended(call, ["/usr/bin/env", *words], ctid)


async def enter(call: Call, ctid: int, words: list[str]) -> int:
    """A shell on the caller's own files; without a terminal it says so and reads its input as a script."""
    _running(call, ctid, 31)
    shell = call.node.shell_inside(ctid)
    terminal = os.isatty(call.files[0])
    if not terminal:
        await call.noise("Unable to get term attr: Inappropriate ioctl for device")
    await call.print(f"entered into CT {ctid}\n")
    argv = [shell, "-c", " ".join(words[1:])] if words[:1] == ["--exec"] else [shell, "-i"] if terminal else [shell]
    await (_ended_on_terminal if terminal else _ended)(call, argv, ctid)
    await call.print(f"exited from CT {ctid}\n")
    if not terminal:
        await call.noise("Unable to restore term attr: Inappropriate ioctl for device")
    return 0


async def runscript(call: Call, ctid: int, words: list[str]) -> int:
    """A script of the node inside the container; a stopped one is given an environment for as long as it takes."""
    node = call.node
    if not words:
        raise Refused(20, "Script not specified")
    script = node.sandbox.real(words[0])
    if not script.exists():
        raise Refused(11, f"Script not found: {words[0]}")
    running = node.state(ctid).running
    if not running:
        await node.latency.of("runscript")
        await call.err(UNPRIVILEGED)
        node.lend_environment(ctid)
    return await _ended(call, [node.shell_inside(ctid), str(script)], ctid)
