"""`python -m tests.forge FD`: has read the whole house and forks a program of it for each request on FD (tests/warm.py), until nobody asks on."""

import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

import psycopg  # noqa: F401 - read here, else by each that is forked
import sqlalchemy.dialects.sqlite  # noqa: F401
from sqlalchemy.orm import configure_mappers

import ops.simnode.__main__ as simnode
import producers.cli
import producers.service
import workers.main
from producers.cli.menu import MENU
from tests.warm import REQUEST_MAX

PROGRAMS: dict[str, Callable[[], object]] = {
    "ops.simnode": lambda: sys.exit(simnode.main(sys.argv[1:])),
    "producers.cli": producers.cli.main,
    "producers.service": producers.service.main,
    "workers.main": workers.main.main,
}


def _serve(control: socket.socket) -> Callable[[], object] | None:
    """Forks whatever is asked for; returns in each child, with the program it is to be, and in the forge when nobody is left who asks."""
    for entry in MENU.values():
        import_module(entry.module)
    configure_mappers()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page
    told: dict[int, socket.socket] = {}
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    with control, woken, waker, selectors.DefaultSelector() as selector:
        for source in (control, woken):
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(4096)
                _reap(told)
            if control in ready:
                request, fds, _, _ = socket.recv_fds(control, REQUEST_MAX, 3)
                if not request:
                    return None
                module, words, environment = json.loads(request)
                pid = os.fork()
                conversation = socket.socket(fileno=fds.pop())
                if pid == 0:
                    for one in (conversation, *told.values()):
                        one.close()
                    _become(words, environment, *fds)
                    return PROGRAMS[module]
                conversation.send(str(pid).encode())
                told[pid] = conversation
                for fd in fds:
                    os.close(fd)


def _reap(told: dict[int, socket.socket]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with told.pop(pid) as conversation, suppress(OSError):  # nobody waits for it any more
            conversation.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(words: list[str], environment: dict[str, str], out: int, err: int) -> None:
    """Nothing of the forge is left but what it has read."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for fd, standard in ((out, 1), (err, 2)):
        os.dup2(fd, standard)
        os.close(fd)
    sys.stdout, sys.stderr = (os.fdopen(standard, "w", encoding="utf-8", buffering=1, closefd=False) for standard in (1, 2))
    sys.argv = ["vzq", *words]
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


if __name__ == "__main__" and (program := _serve(socket.socket(fileno=int(sys.argv[1])))):
    program()
