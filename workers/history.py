"""What a node remembers of the time between a backup and its restore, which the database has lost.

A job that was open when the backup was made may have gone on, ended, and been followed by others. If only it was at work on
its container since, the ledger hands its results back instead of doing anything again. If others were, nobody knows any
more whether it still makes sense: a person decides, and nothing is touched.
"""

from models.errors import Unexpected
from models.house import RESTORE_LEAP
from models.jobs import Job
from workers.node.answers import Ledger, Outcome


def refuse_lost(ledger: Ledger, job: Job, node: str) -> None:
    """Raises Unexpected when the container was touched, or asked for, by another job in the time that is lost."""
    since = job.lost_above or 0
    lost = range(since + 1, since + RESTORE_LEAP + 1)
    others = sorted({run.job for run in ledger.runs if run.job != job.id and run.token in lost and run.outcome is not Outcome.VOID})
    own = max((run.token for run in ledger.runs if run.job == job.id), default=0)
    if others:
        told = f"{len(others)} others did, e.g. {others[-1]}"
    elif ledger.highest in lost and ledger.highest > own:
        told = f"somebody asked for it under token {ledger.highest}"
    else:
        return
    raise Unexpected(
        f"container {job.ctid} on {node} was worked on after the backup that the database was restored from ({told}), so this order may be out of"
        " date; look at the container, then accept what is there, or give this one up and order anew",
        signature="lost time",
    )
