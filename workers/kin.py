"""Workers of one host see each other die at once: a process that is gone needs no lease to run out.

Only within one boot and one PID namespace may a missing process be called dead, so both are part of a worker's
name. A number that was given to another process counts as alive; then the lease decides, as between hosts. A
process that has one job alone also names its parent: as long as that lives, it is the one to say what it died of.
"""

import hashlib
import os
import socket
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.clock import Clock
from models.database import Database
from models.jobs import Job


def home() -> str:
    """The boot and PID namespace this process lives in, as a short word."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]


def name(clock: Clock, *, solo: bool = False) -> str:
    """This worker's name, never used twice: host/home/pid/start, and behind the start of a solo a dot and its parent."""
    return f"{socket.gethostname()}/{home()}/{os.getpid()}/{int(clock.now().timestamp())}" + (f".{os.getppid()}" if solo else "")


def bury(database: Database, session: Session, me: str) -> int:
    """End the leases of workers of this host that are dead; how many jobs that frees. Safe to repeat (index job_leased)."""
    kin = me.rsplit("/", 2)[0] + "/"
    workers = session.exec(select(Job.worker).where(col(Job.lease_until).is_not(None), col(Job.worker).startswith(kin)).distinct()).all()
    dead = [worker for worker in workers if worker is not None and worker != me and _dead(worker)]
    if not dead:
        return 0
    ended = session.execute(update(Job).where(col(Job.worker).in_(dead), col(Job.lease_until).is_not(None)).values(lease_until=database.now(session)))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def _dead(worker: str) -> bool:
    pid, start = worker.split("/")[-2:]
    parent = start.partition(".")[2]
    return not _alive(int(pid)) and not (parent and _alive(int(parent)))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")  # a zombie does nothing any more
