"""What all simulated package managers share: the lock, unpacking and configuring, and what goes wrong in it.

They are real processes with the container's own book (package_book.py); what a killed one was doing stays half done.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ops.simnode.package_book import TRANSACTION, UPDATES, Book, counters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simnode.calls import Call

LISTEN_S = 0.05
Manager = Callable[["Call", Book], Awaitable[int]]


class Full(Exception):
    """No space is left for this package."""


class Broken(Exception):
    """This package's script failed."""


def ctid_of(call: "Call") -> int:
    """The folder of a fake is named after its container."""
    return int(Path(call.path).parent.name)


def managed(work: Manager) -> Callable[["Call"], Awaitable[int]]:
    """A tool of the package manager, on the book of the container it was called in."""

    async def tool(call: "Call") -> int:
        book = Book.read(call.node.sandbox.private(ctid_of(call)))
        if book is None:
            await call.noise(f"/bin/sh: {call.tool}: not found")
            return 127
        return await work(call, book)

    return tool


@contextmanager
def at_work(call: "Call", book: Book) -> "Iterator[None]":
    """The database is this process's while it works. Killed, it leaves what tells of that, and no lock."""
    book.take(call.pid, call.tool)
    left = TRANSACTION if book.family == "yum" else UPDATES
    book.mark(left, there=book.family in ("apt", "yum"))
    try:
        yield
    except asyncio.CancelledError:
        book.trace(call.pid, call.tool, "killed")
        raise
    except BaseException:
        book.mark(left, there=False)
        book.give_back(call.pid, call.tool)
        raise
    book.mark(left, there=False)
    book.give_back(call.pid, call.tool)


async def holder_after(call: "Call", book: Book, seconds: float) -> int | None:
    """Who still has the lock after so many seconds (of speed 1); the book is as the others left it then."""
    until = time.monotonic() + seconds * call.node.latency.speed
    while (holder := book.holder()) is not None and time.monotonic() < until:
        await asyncio.sleep(LISTEN_S)
        book.read_again()
    return holder


async def unpack(call: "Call", book: Book, names: Iterable[str], says: Callable[[str, str, str], str]) -> None:
    """The new files are there, the old ones gone; `says` gives the line for a name, its old and its new version. Raises Full."""
    for name in names:
        await asyncio.sleep(book.trouble.seconds)
        new = book.pending[name].version
        if line := says(name, book.installed.get(name, ""), new):
            await call.print(f"{line}\n")
        if book.trouble.full == name:
            raise Full(name)
        book.half[name] = new
        book.save()


async def configure(call: "Call", book: Book, says: Callable[[str, str], str]) -> None:
    """The scripts of all that is unpacked run; raises Broken."""
    for name, new in sorted(book.half.items()):
        if line := says(name, new):
            await call.print(f"{line}\n")
        while book.trouble.hang == name:  # until it is killed, or somebody ends its hanging
            await asyncio.sleep(LISTEN_S)
            if (fresh := Book.read(book.private)) is not None:
                book.trouble = fresh.trouble
        if book.trouble.fail == name:
            raise Broken(name)
        book.installed[name] = new
        del book.half[name]
        if name in book.pending and book.pending[name].version == new:
            del book.pending[name]
        book.save()


async def afterwards(call: "Call", book: Book) -> None:
    """What an upgrade leaves besides new files."""
    trouble, ctid = book.trouble, ctid_of(call)
    if trouble.reboot:
        book.mark("var/run/reboot-required", there=True, text="*** System restart required ***\n")
        trouble.reboot = False
    if trouble.failcnt:
        book.mark("proc/user_beancounters", there=True, text=counters(trouble.failcnt))
    if trouble.loses == "address":
        for address in list(call.node.state(ctid).addresses):
            await call.node.answers.close(ctid, address)
    elif trouble.loses:
        book.services = [service for service in book.services if service != trouble.loses]
    trouble.loses = ""
    book.save()


async def df(call: "Call", book: Book | None) -> int:
    """`df -Pk` and `df -Pi` of the container's own disk."""
    flags = "".join(word[1:] for word in call.words if word.startswith("-"))
    free = (book.trouble.free_inodes if "i" in flags else book.trouble.free_kib) if book else 4 << 20
    size = max(free, 8 << 20)
    head = ("Inodes", "IUsed", "IFree", "IUse%") if "i" in flags else ("1024-blocks", "Used", "Available", "Capacity")
    line = f"{'/dev/simfs':<15} {size:>11} {size - free:>10} {free:>10} {f'{(size - free) * 100 // size}%':>8} /"
    await call.print(f"{'Filesystem':<15} {head[0]:>11} {head[1]:>10} {head[2]:>10} {head[3]:>8} Mounted on\n{line}\n")
    return 0


async def df_inside(call: "Call") -> int:
    """Of a container that has no package manager too."""
    return await df(call, Book.read(call.node.sandbox.private(ctid_of(call))))


async def systemctl(call: "Call", book: Book) -> int:
    """The services that run, as systemd lists them."""
    words = [word for word in call.words if not word.startswith("-")]
    if words[:1] == ["list-units"]:
        await call.print("".join(f"{name}.service loaded active running {name}\n" for name in book.services))
        return 0
    if words[:1] == ["is-active"]:
        runs = all(name.removesuffix(".service") in book.services for name in words[1:])
        await call.print("active\n" if runs else "inactive\n")
        return 0 if runs else 3
    if "--version" in call.words:
        await call.print("systemd 252 (simulated)\n")
        return 0
    await call.noise("Failed to connect to bus: No such file or directory")
    return 1


async def service(call: "Call", book: Book) -> int:
    """`service --status-all`, in the words of CentOS 6."""
    if call.words == ["--status-all"]:
        await call.print("".join(f"{name} (pid  {number}) is running...\n" for number, name in enumerate(book.services, 300)))
        return 0
    if len(call.words) == 2 and call.words[1] == "status":
        runs = call.words[0] in book.services
        await call.print(f"{call.words[0]} is {'running...' if runs else 'stopped'}\n")
        return 0 if runs else 3
    await call.noise("service: unrecognized service")
    return 1


async def rc_status(call: "Call", book: Book) -> int:
    """OpenRC's list, without colours."""
    await call.print("Runlevel: default\n" + "".join(f" {name:<60} [  started  ]\n" for name in book.services))
    return 0
