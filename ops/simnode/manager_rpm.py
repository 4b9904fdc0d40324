"""rpm, yum, dnf and zypper as scripts meet them, with the exit codes of each."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ops.simnode.managers import Broken, Full, afterwards, at_work, configure, holder_after, unpack
from ops.simnode.package_book import TRANSACTION, Book, Pending

if TYPE_CHECKING:
    from ops.simnode.calls import Call


FOR_EVER_S = 1e9
ZYPPER_PATIENCE_S = 1.0
ZYPPER_SCRIPT = 107


async def rpm(call: "Call", book: Book) -> int:
    if "--version" in call.words:
        await call.print("RPM version 4.18.0\n")
        return 0
    form = next((call.words[place + 1] for place, word in enumerate(call.words[:-1]) if word in ("--qf", "--queryformat")), "")
    lines = ""
    both = [*book.installed.items(), *((name, new) for name, new in book.half.items() if book.installed.get(name) != new)]
    for name, version in sorted(both):  # a killed run leaves both versions
        said = {"NAME": name, "ARCH": "x86_64", "VERSION": version.rpartition("-")[0], "RELEASE": version.rpartition("-")[2]}
        text = form or "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n"
        lines += re.sub(r"%\{([A-Z]+)\}", lambda found: said.get(found[1], "(none)"), text).replace("\\n", "\n")  # noqa: B023 - used at once
    await call.print(lines)
    return 0


async def yum(call: "Call", book: Book) -> int:
    """0, 100 for updates that can be had, 1 for an error, 200 for a lock; dnf too."""
    options = [word for word in call.words if word.startswith("-")]
    words = [word for word in call.words if not word.startswith("-")]
    if "--version" in options:
        await call.print("3.2.29\n" if call.tool == "yum" else "4.14.0\n")
        return 0
    if code := await _yum_locked(call, book, at_once="--setopt=exit_on_lock=1" in options):
        return code
    if book.trouble.mirror:
        await call.noise(
            "Error: Cannot find a valid baseurl for repo: base" if call.tool == "yum" else "Error: Failed to download metadata for repo 'base'"
        )
        return 1
    command = words[0] if words else ""
    but = "kernel" if any(option.startswith("--exclude=kernel") for option in options) else "\0"
    wanted = book.wanted(words[1:], security="--security" in options, but=but)
    if command == "check-update":
        await call.print("".join(["\n" if wanted else "", *(f"{name}.x86_64{one.version:>30}{'updates':>24}\n" for name, one in wanted.items())]))
        return 100 if wanted else 0
    if command in ("update", "upgrade"):
        return await _upgrade(call, book, list(wanted), failed=1)
    return 0 if command in ("makecache", "clean") else 1


async def _yum_locked(call: "Call", book: Book, *, at_once: bool) -> int:
    holder = book.holder()
    if holder is None:
        return 0
    if call.tool == "yum":
        await call.noise(f"Existing lock /var/run/yum.pid: another copy is running as pid {holder}.")
    else:
        await call.noise(f"Waiting for process with pid {holder} to finish.")
    if at_once:
        await call.noise("Error: Failed to obtain the transaction lock (exit_on_lock)")
        return 200
    await holder_after(call, book, FOR_EVER_S)
    return 0


async def _upgrade(call: "Call", book: Book, wanted: list[str], *, failed: int) -> int:
    try:
        with at_work(call, book):
            await unpack(call, book, wanted, lambda name, _, new: f"  Updating   : {name}-{new}.x86_64")
            await configure(call, book, lambda _name, _new: "")
    except Full as full:
        await call.noise(f"Error: Transaction test error:\n  installing package {full.args[0]} needs 12MB more space on the / filesystem")
        await call.noise("Error: No space left on device")
        return failed
    except Broken as broken:
        name = broken.args[0]
        await call.noise(f"warning: %post({name}-{book.half[name]}.x86_64) scriptlet failed, exit status 1")
        book.installed[name] = book.half.pop(name)  # rpm counts it as installed all the same
        book.pending.pop(name, None)
        book.save()
        if failed == ZYPPER_SCRIPT:
            return ZYPPER_SCRIPT
        await call.noise(f"Error in POSTIN scriptlet in rpm package {name}")
        return failed if call.tool == "yum" else 0
    code, book.trouble.code = book.trouble.code, 0
    await afterwards(call, book)
    return code


async def complete(_call: "Call", book: Book) -> int:
    """yum-complete-transaction."""
    book.mark(TRANSACTION, there=False)
    for name, new in list(book.half.items()):
        book.installed[name] = new
        del book.half[name]
        book.pending.pop(name, None)
    book.save()
    return 0


async def needs_restarting(call: "Call", book: Book) -> int:
    """`-r`: 1 where a restart is wanted."""
    wanted = (book.private / "var/run/reboot-required").exists()
    await call.print("Reboot is required to fully utilize these updates.\n" if wanted else "No core libraries or services have been updated.\n")
    return 1 if wanted else 0


async def zypper(call: "Call", book: Book) -> int:
    """ref, lu, lp, up and patch; 7 for a lock, 102 and 103 as told, 107 for a script that fails."""
    words = [word for word in call.words if not word.startswith("-")]
    if "--version" in call.words:
        await call.print("zypper 1.14.59\n")
        return 0
    if (holder := await holder_after(call, book, ZYPPER_PATIENCE_S)) is not None:
        await call.noise(f"System management is locked by the application with pid {holder} (zypper).\nClose this application before trying again.")
        return 7
    command = ZYPPER.get(words[0] if words else "")
    if command is None:
        await call.noise(f"Unknown command '{words[0] if words else ''}'")
        return 1
    names = [word for word in words[1:] if word != "security"]
    return await command(call, book, book.wanted(names, security="security" in words))


Wanted = Mapping[str, Pending]


async def _refresh(call: "Call", book: Book, _wanted: Wanted) -> int:
    if book.trouble.mirror:
        await call.noise("Repository 'Main' is invalid.\nCould not refresh the repositories because of errors.")
        return 4
    await call.print("Repository 'Main' is up to date.\nAll repositories have been refreshed.\n")
    return 0


async def _updates(call: "Call", book: Book, wanted: Wanted) -> int:
    head = ["S", "Repository", "Name", "Current Version", "Available Version", "Arch"]
    return await _table(call, head, [["v", "Main", name, book.installed.get(name, ""), one.version, "x86_64"] for name, one in wanted.items()])


async def _patches(call: "Call", _book: Book, wanted: Wanted) -> int:
    head = ["Repository", "Name", "Category", "Severity", "Interactive", "Status", "Summary"]
    rows = [
        ["Updates", f"openSUSE-2026-{name}", "security", "important", "---", "needed", f"Security update for {name}"]
        for name, one in wanted.items()
        if one.security
    ]
    return await _table(call, head, rows)


async def _up(call: "Call", book: Book, wanted: Wanted) -> int:
    return await _upgrade(call, book, list(wanted), failed=ZYPPER_SCRIPT if book.trouble.fail else 8)


ZYPPER = {"ref": _refresh, "refresh": _refresh, "lu": _updates, "lp": _patches, "up": _up, "update": _up, "patch": _up}


async def _table(call: "Call", head: list[str], rows: list[list[str]]) -> int:
    if not rows:
        await call.print("No updates found.\n")
        return 0
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = [" | ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    await call.print("\n".join(lines) + "\n")
    return 0
