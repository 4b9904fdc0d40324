"""apt-get, apt-mark, dpkg and dpkg-query as scripts meet them; the words are those of apt 2.6 and dpkg 1.21."""

import re
from typing import TYPE_CHECKING

from ops.simnode.managers import Broken, Full, afterwards, at_work, configure, holder_after, unpack
from ops.simnode.package_book import Book

if TYPE_CHECKING:
    from ops.simnode.calls import Call

SUBPROCESS = "E: Sub-process /usr/bin/dpkg returned an error code (1)"
INTERRUPTED = "dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
READING = "Reading package lists...\nBuilding dependency tree...\nReading state information...\n"
MIRROR = "http://deb.debian.org/debian"


async def apt_get(call: "Call", book: Book) -> int:
    options, words = _parsed(call.words)
    command, names = (words[0] if words else ""), words[1:]
    if command not in ("update", "upgrade", "dist-upgrade", "install"):
        version = "--version" in options
        await (call.print("apt 2.6.1 (amd64)\n") if version else call.noise(f"E: Invalid operation {command}"))
        return 0 if version else 100
    simulated = {"-s", "--simulate", "--dry-run"} & set(options)
    if not simulated and (holder := await holder_after(call, book, _patience_s(options))):
        await _locked(call, holder, lists=command == "update")
        return 100
    if command == "update":
        return await _update(call, book)
    if book.interrupted:
        await call.noise(f"E: {INTERRUPTED}")
        return 100
    if simulated:
        return await _simulate(call, book, command, names)
    return await _upgrade(call, book, names if command == "install" else [], forced=_forced(options), repair="-f" in options and not names)


async def _locked(call: "Call", holder: int, *, lists: bool) -> None:
    place = "/var/lib/apt/lists/lock" if lists else "/var/lib/dpkg/lock-frontend"
    await call.noise(f"E: Could not get lock {place}. It is held by process {holder} (unattended-upgr)")
    what = (
        "Unable to lock directory /var/lib/apt/lists/"
        if lists
        else f"Unable to acquire the dpkg frontend lock ({place}), is another process using it?"
    )
    await call.noise(f"E: {what}")


def _parsed(words: list[str]) -> tuple[list[str], list[str]]:
    """Options, each `-o` with its value behind it, and the other words."""
    options: list[str] = []
    others: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "-o" and left:
            options.append(left.pop(0))
        else:
            (options if word.startswith("-") else others).append(word)
    return options, others


def _forced(options: list[str]) -> bool:
    return any(option.endswith(("--force-confold", "--force-confnew")) for option in options)


def _patience_s(options: list[str]) -> float:
    return next((float(option.partition("=")[2]) for option in options if option.startswith("DPkg::Lock::Timeout=")), 0.0)


async def _update(call: "Call", book: Book) -> int:
    if book.trouble.mirror == "gone":
        await call.print(
            f"Ign:1 {MIRROR} bookworm InRelease\nErr:2 {MIRROR} bookworm Release\n  404  Not Found [IP: 127.0.0.1 80]\nReading package lists...\n"
        )
        await call.noise(f"E: The repository '{MIRROR} bookworm Release' does not have a Release file.")
        return 100
    if book.trouble.mirror:
        why = "Could not connect to deb.debian.org:80 (127.0.0.1), connection timed out"
        await call.print(f"Err:1 {MIRROR} bookworm InRelease\n  {why}\nReading package lists...\n")
        await call.noise(f"W: Failed to fetch {MIRROR}/dists/bookworm/InRelease  {why}")
        await call.noise("W: Some index files failed to download. They have been ignored, or old ones used instead.")
        return 0  # so it is: only the words tell
    await call.print(f"Hit:1 {MIRROR} bookworm InRelease\nReading package lists...\n")
    return 0


async def _simulate(call: "Call", book: Book, command: str, names: list[str]) -> int:
    wanted = book.wanted(names if command == "install" else ())
    lines = []
    for name, one in wanted.items():
        source = "Debian-Security:12/stable-security" if one.security else "Debian:12.8/stable"
        lines.append(f"Inst {name} [{book.installed.get(name, '')}] ({one.version} {source} [amd64])")
    lines += [f"Conf {name} ({one.version})" for name, one in wanted.items()]
    await call.print(READING + "\n".join(lines) + ("\n" if lines else ""))
    return 0


async def _upgrade(call: "Call", book: Book, names: list[str], *, forced: bool, repair: bool) -> int:
    wanted = {} if repair else book.wanted(names)
    await call.print(f"{READING}{len(wanted)} upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
    if not wanted and not book.half:
        return 0
    try:
        with at_work(call, book):
            await unpack(call, book, wanted, lambda name, old, new: f"Unpacking {name} ({new}) over ({old}) ...")
            code = await _configured(call, book, forced=forced)
    except Full as full:
        name = full.args[0]
        await call.noise(f"dpkg: error processing archive /var/cache/apt/archives/{name}_{book.pending[name].version}_amd64.deb (--unpack):")
        await call.noise(
            f" cannot copy extracted data for './usr/share/{name}' to '/usr/share/{name}.dpkg-new': failed to write (No space left on device)"
        )
        await call.noise(f"Errors were encountered while processing:\n {name}\n{SUBPROCESS}")
        return 100
    if code:
        await call.noise(SUBPROCESS)
        return 100
    await afterwards(call, book)
    return 0


async def _configured(call: "Call", book: Book, *, forced: bool) -> int:
    """What dpkg itself does; its exit code."""
    name = book.trouble.asks
    if name in book.half and not forced:
        await call.print(f"Configuration file '/etc/{name}.conf'\n ==> Modified (by you or by a script) since installation.\n")
        return await _failed(call, name, "end of file on stdin at conffile prompt")
    try:
        await configure(call, book, lambda name, new: f"Setting up {name} ({new}) ...")
    except Broken as broken:
        name = broken.args[0]
        return await _failed(call, name, f"installed {name} package post-installation script subprocess returned error exit status 1")
    return 0


async def _failed(call: "Call", name: str, why: str) -> int:
    await call.noise(f"dpkg: error processing package {name} (--configure):\n {why}\nErrors were encountered while processing:\n {name}")
    return 1


async def dpkg(call: "Call", book: Book) -> int:
    if "--audit" in call.words or "-C" in call.words:
        if book.half:
            await call.print("The following packages are only half configured, probably due to problems\nconfiguring them the first time.  ")
            await call.print("The configuration should be retried using\ndpkg --configure <package> or the configure menu option in dselect:\n")
            await call.print("".join(f" {name:<20} simulated\n" for name in sorted(book.half)))
        return 0
    if "--configure" not in call.words:
        await call.noise("dpkg: error: need an action option")
        return 2
    if (holder := book.holder()) is not None:
        await call.noise(f"dpkg: error: dpkg frontend lock was locked by another process with pid {holder}")
        return 2
    with at_work(call, book):
        code = await _configured(call, book, forced=_forced(call.words))
    if not code:
        await afterwards(call, book)
    return code


async def dpkg_query(call: "Call", book: Book) -> int:
    form = next(
        (value for option, value in zip(call.words, call.words[1:], strict=False) if option in ("-f", "--showformat")), "${Package}\t${Version}\n"
    )
    patterns = [word for word in call.words if not word.startswith("-") and word != form]
    lines = ""
    for name, version in sorted((book.installed | {name: book.installed.get(name, "") for name in book.half}).items()):
        if patterns and not any(re.fullmatch(pattern.replace("*", ".*"), name) for pattern in patterns):
            continue
        status = "install ok half-configured" if name in book.half else "install ok installed"
        said = {"Package": name, "Version": book.half.get(name, version), "Architecture": "amd64", "Status": status}
        lines += re.sub(r"\$\{([a-zA-Z:-]+)\}", lambda found: said.get(found[1], ""), form).replace("\\n", "\n").replace("\\t", "\t")  # noqa: B023 - used at once
    await call.print(lines)
    if patterns and not lines:
        await call.noise(f"dpkg-query: no packages found matching {patterns[0]}")
        return 1
    return 0


async def apt_mark(call: "Call", book: Book) -> int:
    command, names = call.words[0] if call.words else "", call.words[1:]
    if command == "showhold":
        await call.print("".join(f"{name}\n" for name in book.held))
    elif command in ("hold", "unhold"):
        book.held = sorted({*book.held, *names} if command == "hold" else set(book.held) - set(names))
        book.save()
        await call.print("".join(f"{name} set on hold.\n" if command == "hold" else f"Canceled hold on {name}.\n" for name in names))
    return 0
