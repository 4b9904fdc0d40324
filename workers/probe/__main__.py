"""`python -m workers.probe`: one probe. It leaves its parent at once, asks, and ends by itself when nobody collects it.

With `--nursery` a process that bears one for each line of words on its stdin (workers/probe/nursery.py), until that ends.
"""

import argparse
import fcntl
import json
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from models.clock import SystemClock
from workers.probe.asking import Probe
from workers.probe.nursery import BORN
from workers.probe.places import Places
from workers.probe.record import Writer

LIFE_S = 15 * 60.0
DESCRIPTORS = 4096  # 2 s of questions 20 ms apart need a hundred


def main() -> None:
    """Exit 0 at once: what asks is a child in a session of its own."""
    if sys.argv[1:] == ["--nursery"]:
        nursery()
    else:
        bear(sys.argv[1:])


def nursery() -> None:
    """A probe a line, told when it is alive."""
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            _bear_alone(json.loads(line))
        os.waitpid(child, 0)
        os.write(1, BORN)


def _bear_alone(words: Sequence[str]) -> None:
    """In a child: nothing of the nursery's own is touched, whatever happens."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        bear(words)
    finally:
        os._exit(0)


def bear(given: Sequence[str]) -> None:
    """One probe; this process ends, its child asks."""
    words = argparse.ArgumentParser(prog="python -m workers.probe", description="Ask a container's address how it is, and write the answers down.")
    words.add_argument("--folder", type=Path, required=True, help="where record and control line are")
    words.add_argument("--name", required=True, help="of the record: the job's id")
    words.add_argument("--address", required=True)
    words.add_argument("--how", required=True, help="icmp or tcp:PORT")
    words.add_argument("--life", type=float, default=LIFE_S, help="seconds without a word from a worker after which it ends")
    words.add_argument("--late", action="store_true", help="the container was touched before, where no record of it is left")
    wanted = words.parse_args(given)
    places = Places(wanted.folder, wanted.name)
    with suppress(FileExistsError):
        os.mkfifo(places.words, 0o600)
    record = os.open(places.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.fork():
        os._exit(0)
    os.setsid()
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"probe {wanted.name[-8:]}")  # for `ps`: the words of a forked one are the nursery's
    try:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another one asks for this job already
    control = os.open(places.words, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most) if most >= 0 else DESCRIPTORS, most))
    Probe(Writer(record), control, clock=SystemClock(), life_s=wanted.life).run(wanted.address, wanted.how, late=wanted.late)


if __name__ == "__main__":
    main()
