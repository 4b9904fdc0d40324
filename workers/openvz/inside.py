"""What is sent into a container on stdin: a script of ours around the one that was ordered. Words only.

Inside there is no guarantee of locale, limits or end (facts §2.5), and what vzctl started lives on when vzctl is
killed. So the script takes a lock inside, runs the ordered one in a session and with a time-out of its own, and
says on stderr how it ended: only that line proves an exit code, for exec2's own codes look the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

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

# Paths are relative: exec2 begins in /. A symbolic link is the lock, because making one is atomic and it holds a text.
_WRAPPER = r"""
exec 4>&2 2>&1
umask 022
LC_ALL=C HOME=/root
export LC_ALL HOME
began() {{ start=; read -r p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12 p13 p14 p15 p16 p17 p18 p19 p20 p21 start rest 2>/dev/null </proc/$1/stat; }}
for place in run var/run tmp; do [ ! -d $place ] || [ ! -w $place ] || break; done
lock=$place/vzq.lock waited=0
began $$
until ln -s "$$ $start {job}" $lock 2>/dev/null; do
    holder=$(readlink $lock) || {{ [ -w $place ] || break; continue; }}
    set -- $holder
    mine=$start
    began "$1"
    if [ "$start" != "$2" ]; then
        mv $lock $lock.$$ 2>/dev/null && {{ [ "$(readlink $lock.$$)" = "$holder" ] && rm -f $lock.$$ || mv $lock.$$ $lock; }}
    elif [ $waited -ge {patience_s} ]; then
        echo "vzq-busy $3" >&4
        exit 75
    else
        sleep 1
        waited=$((waited + 1))
    fi
    start=$mine
done
read_s() {{ now_s=0; read -r now_s rest 2>/dev/null </proc/uptime; now_s=${{now_s%%.*}}; }}
read_s
limit="timeout -k {kill_after_s} {timeout_s}"
$limit true 2>/dev/null || limit=
alone=setsid
command -v setsid >/dev/null || alone=
$alone $limit {words} 3<<'{mark}' 4>&- </dev/null &
{script}
{mark}
child=$!
{{ wait $child; }} 2>/dev/null  # a shell says there whom a signal has ended
rc=$? late=
case $rc in 124|137)
    began_s=$now_s
    read_s
    [ $((now_s - began_s)) -lt {timeout_s} ] || late=" late"
    # what does not heed a TERM goes with the rest of its session, so that nothing of it meets the next one
    kill -KILL $(cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\([0-9]*\) (.*) [^ZX] [0-9]* [0-9]* $child .*/\1/p") 2>/dev/null
esac
rm -f $lock
echo "vzq-end $rc$late" >&4
"""
_STOP = r"""
for place in run var/run tmp; do
    holder=$(readlink $place/vzq.lock 2>/dev/null) || continue
    set -- $holder
    [ "$3" = {job} ] || continue
    found() {{ cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\($1\) (.*) [^ZX] $2 .*/\1/p"; }}
    leaders=$(found "[0-9]*" $1)
    left() {{ for leader in $leaders; do found $leader "[0-9]*"; found "[0-9]*" "[0-9]* [0-9]* $leader"; done | sort -u; }}
    for leader in $leaders; do kill -TERM -$leader 2>/dev/null || kill -TERM $leader 2>/dev/null; done
    grace={grace_s}
    while [ -n "$(left)" ] && [ $grace -gt 0 ]; do sleep 1; grace=$((grace - 1)); done
    kill -KILL $(left) 2>/dev/null
done
"""


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
    # /proc/self/fd/3, not a file: nothing is left behind, and nobody sees the script in ps.
    words = quoted([script.interpreter, "/proc/self/fd/3", *script.arguments])
    return _WRAPPER.format(
        job=job, words=words, script=script.text, mark=MARK, kill_after_s=KILL_AFTER_S,
        timeout_s=max(1, round(script.timeout.total_seconds())), patience_s=round(patience.total_seconds()),
    ).encode()  # fmt: skip


def stop(job: str, *, grace: timedelta = timedelta(seconds=10)) -> bytes:
    """Ends from inside what this job still runs there, and nothing else."""
    if not JOB_ID.fullmatch(job):
        raise Permanent(f"{job[:40]!r} is not a job id (26 letters and digits); nothing was sent")
    return _STOP.format(job=job, grace_s=round(grace.total_seconds())).encode()


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
