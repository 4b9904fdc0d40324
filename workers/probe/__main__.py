"""`python -m workers.probe`: one probe. It leaves its parent at once, asks, and ends by itself when nobody collects it."""

import argparse
import fcntl
import os
import resource
from contextlib import suppress
from pathlib import Path

from models.clock import SystemClock
from workers.probe.asking import Probe
from workers.probe.places import Places
from workers.probe.record import Writer

LIFE_S = 15 * 60.0
DESCRIPTORS = 4096  # 2 s of questions 20 ms apart need a hundred


def main() -> None:
    """Exit 0 at once: what asks is a child in a session of its own."""
    words = argparse.ArgumentParser(prog="python -m workers.probe", description="Ask a container's address how it is, and write the answers down.")
    words.add_argument("--folder", type=Path, required=True, help="where record and control line are")
    words.add_argument("--name", required=True, help="of the record: the job's id")
    words.add_argument("--address", required=True)
    words.add_argument("--how", required=True, help="icmp or tcp:PORT")
    words.add_argument("--life", type=float, default=LIFE_S, help="seconds without a word from a worker after which it ends")
    words.add_argument("--late", action="store_true", help="the container was touched before, where no record of it is left")
    given = words.parse_args()
    places = Places(given.folder, given.name)
    with suppress(FileExistsError):
        os.mkfifo(places.words, 0o600)
    record = os.open(places.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.fork():
        os._exit(0)
    os.setsid()
    try:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another one asks for this job already
    control = os.open(places.words, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most) if most >= 0 else DESCRIPTORS, most))
    Probe(Writer(record), control, clock=SystemClock(), life_s=given.life).run(given.address, given.how, late=given.late)


if __name__ == "__main__":
    main()
