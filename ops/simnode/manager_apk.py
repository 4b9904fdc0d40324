"""apk as scripts meet it; its exit code is the number of errors, or 99 for a lock."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ops.simnode.managers import Broken, Full, afterwards, at_work, configure, holder_after, unpack
from ops.simnode.package_book import Book

if TYPE_CHECKING:
    from ops.simnode.calls import Call

INDEX = "https://dl-cdn.alpinelinux.org/alpine/v3.18/main"


async def apk(call: "Call", book: Book) -> int:
    """What only reads needs no lock."""
    words, wait_s = list(call.words), 0.0
    if "--wait" in words:
        place = words.index("--wait")
        wait_s = float(words[place + 1])
        del words[place : place + 2]
    words = [word for word in words if word == "--version" or not word.startswith("-")]
    command, names = (words[0] if words else ""), words[1:]
    if command in READS:
        await call.print(READS[command](book))
        return 0
    if await holder_after(call, book, wait_s) is not None:
        await call.noise("ERROR: Unable to lock database: Resource temporarily unavailable")
        await call.noise("ERROR: Failed to open apk database: Resource temporarily unavailable")
        return 99
    if command == "update":
        return await _update(call, book)
    if command == "upgrade":
        return await _upgrade(call, book, list(book.wanted(names)))
    await call.noise(f"apk: unrecognized command '{command}'")
    return 1


def _installed(book: Book) -> str:
    return "".join(f"{name}-{version}\n" for name, version in sorted(book.installed.items()))


def _newer(book: Book) -> str:
    lines = [f"{f'{name}-{book.installed.get(name)}':<39}< {one.version} \n" for name, one in book.wanted().items()]
    return "".join(["Installed:                                Available:\n", *lines])


READS: dict[str, Callable[[Book], str]] = {
    "info": _installed,
    "version": _newer,
    "--version": lambda _book: "apk-tools 2.14.0, compiled for x86_64.\n",
}


async def _update(call: "Call", book: Book) -> int:
    known = f"{len(book.installed)} distinct packages available"
    if book.trouble.mirror:
        await call.noise(f"WARNING: fetching {INDEX}: temporary error (try again later)\n1 unavailable, 0 stale; {known}")
        return 1
    await call.print(f"fetch {INDEX}/x86_64/APKINDEX.tar.gz\nOK: {known}\n")
    return 0


async def _upgrade(call: "Call", book: Book, wanted: list[str]) -> int:
    try:
        with at_work(call, book):
            await unpack(call, book, wanted, lambda name, old, new: f"(1/{len(wanted)}) Upgrading {name} ({old} -> {new})")
            await configure(call, book, lambda _name, _new: "")
    except Full as full:
        await call.noise(f"ERROR: {full.args[0]}: failed to extract: No space left on device")
        return 1
    except Broken as broken:
        await call.noise(
            f"ERROR: {broken.args[0]}-{book.half[broken.args[0]]}.post-upgrade: script exited with error 1\n1 error; 8 MiB in 20 packages"
        )
        return 1
    await afterwards(call, book)
    await call.print(f"OK: 8 MiB in {len(book.installed)} packages\n")
    return 0
