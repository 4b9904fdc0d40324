"""What is sent into a container on stdin: a script of ours around the one that was ordered. Words only.

Inside there is no guarantee of locale, limits or end (facts §2.5), and what vzctl started lives on when vzctl is
killed. So the script waits for its turn inside, runs the ordered one in a session and with a time-out of its own, and
says on stderr how it ended: only that line proves an exit code, for exec2's own codes look the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from models.errors import Permanent
from models.whitelist import JOB_ID, sendable
from models.whitelist import SCRIPT_END as MARK
from workers.transport.ssh import quoted

INTERPRETERS = ("sh", "bash", "python3", "perl")
END = re.compile(r"^vzq-end (\d{1,3})( late)?$", re.MULTILINE)
BUSY = re.compile(r"^vzq-busy (\S+)$", re.MULTILINE)
EXIT = re.compile(r"^exit (\d{1,3})$", re.MULTILINE)  # vzq-exec's line: what vzctl itself ended with
KILL_AFTER_S = 10
PATIENCE = timedelta(seconds=20)

_HERE = Path(__file__).parent
_QUEUE, _AROUND, _STOP = ((_HERE / f"inside_{name}.sh").read_text() for name in ("queue", "around", "stop"))


@dataclass(frozen=True)
class Script:
    """What is to run inside."""

    text: str
    interpreter: str = "sh"
    arguments: Sequence[str] = ()
    timeout: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Ended:
    """How it ended there; `code` only where the end was seen from inside."""

    outcome: str  # ok, failed, timed-out, flooded, busy, not-running, frozen, missing, no-shell, killed, unknown
    code: int | None
    why: str = ""


def wrapped(script: Script, job: str, *, patience: timedelta = PATIENCE) -> bytes:
    """The text for the stdin of `exec2 ID -`; raises Permanent for one that cannot be sent."""
    if not JOB_ID.fullmatch(job):
        raise Permanent(f"{job[:40]!r} is not a job id (26 letters and digits); nothing was sent")
    if script.interpreter not in INTERPRETERS:
        raise Permanent(f"{script.interpreter[:40]!r} is not an interpreter vzq starts; use one of {', '.join(INTERPRETERS)}")
    try:
        sendable(script.text)
    except ValueError as error:
        raise Permanent(f"the script {error}") from None
    told = f"job={job} patience_s={_seconds(patience)} timeout_s={max(1, _seconds(script.timeout))} kill_after_s={KILL_AFTER_S}"
    # /proc/self/fd/3, not a file: nothing is left behind, and nobody sees the script in ps.
    words = quoted([script.interpreter, "/proc/self/fd/3", *script.arguments])
    begin = f"$alone $limit {words} 3<<'{MARK}' 4>&- </dev/null &\n{script.text}\n{MARK}"
    return f"{told}\n{_QUEUE}\n{_AROUND}\n{begin}\nended\n".encode()


def stop(job: str, *, grace: timedelta = timedelta(seconds=10)) -> bytes:
    """Ends from inside what this job still runs or waits for there, and nothing else."""
    if not JOB_ID.fullmatch(job):
        raise Permanent(f"{job[:40]!r} is not a job id (26 letters and digits); nothing was sent")
    return f"job={job} grace_s={_seconds(grace)}\n{_QUEUE}\n{_STOP}".encode()


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())


# What exec2 itself ends with when nothing ran inside (facts §2.5).
_OWN = {
    3: ("killed", "the command was ended by a signal"),
    7: ("frozen", "it is locked by a checkpoint or a migration"),
    9: ("frozen", "it is locked"),
    14: ("missing", "there is no such container on the node"),
    31: ("not-running", "it is not running"),
    47: ("no-shell", "there is no shell in it"),
}


def ended(err: str, *, flooded: bool = False) -> Ended:
    """How it ended, from vzctl's stderr with our lines in it."""
    if busy := BUSY.search(err):
        return Ended("busy", None, f"job {busy[1]} of vzq runs in it; order again when that has ended")
    if end := END.search(err):
        code = int(end[1])
        if flooded:
            return Ended("flooded", code, "it printed more than was allowed and was ended")
        if end[2]:
            return Ended("timed-out", code, "it took too long and was ended")
        if code == 137:
            return Ended("failed", code, "it was ended by KILL before its time was up; was memory short?")
        return Ended("failed" if code else "ok", code)
    own = EXIT.search(err)
    outcome, why = _OWN.get(int(own[1]) if own else -1, ("unknown", "its end was not seen; it may have run, wholly or in part"))
    said = [line for line in err.splitlines() if line and not line.startswith(("exit ", "vzq-"))]
    return Ended(outcome, None, f"{why} ({said[-1][:200]})" if said else why)
