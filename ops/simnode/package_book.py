"""What is installed in a simulated container, what could be, and what its package manager is told to suffer.

One JSON file in the private area, so that it moves, is copied and is reinstalled with the container.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = "var/lib/packages.sim"
LOCK = "var/lib/packages.lock"
TRACE = "var/log/packages.sim"  # a line whenever something of the package manager begins or ends to work on the database
TOOLS = {
    "apt": ("apt-get", "apt-mark", "dpkg", "dpkg-query"),
    "yum": ("yum", "rpm", "yum-complete-transaction", "needs-restarting"),
    "dnf": ("dnf", "rpm", "needs-restarting"),
    "zypper": ("zypper", "rpm"),
    "apk": ("apk",),
}
SERVICES = {"apt": "systemctl", "yum": "service", "dnf": "systemctl", "zypper": "systemctl", "apk": "rc-status"}


@dataclass(frozen=True)
class Pending:
    """A newer version that could be had."""

    version: str
    security: bool = False


@dataclass
class Trouble:
    """What goes wrong; control's `packages` sets it, and an empty one is a container in which all goes well."""

    locked_until: float = 0.0  # somebody else's package manager holds the lock until then
    hang: str = ""  # the package whose script never ends
    fail: str = ""  # the package whose script fails
    full: str = ""  # the package for which no space is left
    asks: str = ""  # the package whose configuration file was changed by hand and in the new version too
    mirror: str = ""  # "silent": does not answer; "gone": has nothing for this release any more
    reboot: bool = False  # wanted after the next upgrade
    loses: str = ""  # after the next upgrade: the service that does not run any more, or "address"
    failcnt: int = 0  # of kmemsize, more after the next upgrade
    code: int = 0  # the next upgrade ends so although all went well (zypper's 102, 103, 107)
    seconds: float = 0.0  # each package takes so long
    free_kib: int = 4 << 20
    free_inodes: int = 200_000


@dataclass
class Book:
    """One container's packages."""

    private: Path
    family: str
    installed: dict[str, str] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    half: dict[str, str] = field(default_factory=dict)  # unpacked in this version, not configured
    services: list[str] = field(default_factory=list)
    trouble: Trouble = field(default_factory=Trouble)

    @classmethod
    def read(cls, private: Path) -> "Book | None":
        """None for a container without a package manager."""
        try:
            kept: dict[str, Any] = json.loads((private / FILE).read_text())
        except OSError:
            return None
        pending = {name: Pending(**one) for name, one in kept.pop("pending", {}).items()}
        return cls(private, pending=pending, trouble=Trouble(**kept.pop("trouble", {})), **kept)

    def read_again(self) -> None:
        """Others may have changed it meanwhile."""
        fresh = Book.read(self.private)
        if fresh is not None:
            self.__dict__.update(fresh.__dict__)

    def save(self) -> None:
        fresh = self.private / f"{FILE}.new"
        kept = asdict(self)
        del kept["private"]
        fresh.write_text(json.dumps(kept))
        fresh.replace(self.private / FILE)

    def wanted(self, names: Iterable[str] = (), *, security: bool = False, but: str = "\0") -> dict[str, Pending]:
        """What would be upgraded, of these names or of all."""
        only = set(names)
        return {
            name: one
            for name, one in sorted(self.pending.items())
            if (not only or name in only) and (one.security or not security) and name not in self.held and not name.startswith(but)
        }

    # -- one at a time ---------------------------------------------------------------------------------------------

    def holder(self) -> int | None:
        """The process that has the lock; 1 stands for somebody who is not of the simulator."""
        if time.time() < self.trouble.locked_until:
            return 1
        try:
            pid = int((self.private / LOCK).read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state in "ZX" else pid  # the kernel gives back what a killed process held, buried or not

    def trace(self, pid: int, tool: str, word: str) -> None:
        path = self.private / TRACE
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lines:
            lines.write(json.dumps({"at": time.time(), "pid": pid, "tool": tool, "is": word}) + "\n")

    def take(self, pid: int, tool: str) -> None:
        (self.private / LOCK).write_text(str(pid))
        self.trace(pid, tool, "begins")

    def give_back(self, pid: int, tool: str) -> None:
        self.trace(pid, tool, "ends")
        (self.private / LOCK).unlink(missing_ok=True)

    # -- files that scripts look at -------------------------------------------------------------------------------

    def mark(self, name: str, *, there: bool, text: str = "") -> None:
        """A file in the container is there, or not."""
        path = self.private / name
        if there:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)

    @property
    def interrupted(self) -> bool:
        """A run of the package manager was killed while it worked."""
        return any((self.private / name).exists() for name in (UPDATES, TRANSACTION))


UPDATES = "var/lib/dpkg/updates/0001"  # what a killed dpkg leaves
TRANSACTION = "var/lib/yum/transaction-all.sim"  # what a killed yum leaves


def packed(family: str, installed: dict[str, str], services: list[str]) -> str:
    """The file of a fresh template."""
    return json.dumps({"family": family, "installed": installed, "services": services})


def tell(private: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Change the book as control's `packages` asks; raises ValueError with a sentence for the asker."""
    book = Book.read(private)
    if book is None:
        raise ValueError(f"there is no package manager in {private}")
    if "pending" in request:
        book.pending = _pending(request.pop("pending"))
        book.installed = dict.fromkeys(book.pending, "1.0-1") | book.installed
    if "lock_s" in request:
        request["locked_until"] = time.time() + float(request.pop("lock_s"))
    if request.pop("interrupted", False):
        first = next(iter(book.pending), None) or next(iter(book.installed))
        book.half[first] = book.pending[first].version if first in book.pending else book.installed[first]
        book.mark(TRANSACTION if book.family == "yum" else UPDATES, there=True)
    if request.pop("calm", False):
        book.trouble = Trouble()
    for name, wanted in request.items():
        if not hasattr(book.trouble, name):
            raise ValueError(f"packages: {name} is unknown; there are pending, interrupted, lock_s, calm, {', '.join(asdict(Trouble()))}")
        setattr(book.trouble, name, type(getattr(book.trouble, name))(wanted))
    if book.trouble.failcnt:
        book.mark("proc/user_beancounters", there=True, text=counters(0))
    book.save()
    shown = asdict(book)
    del shown["private"]
    return shown | {"reboot_wanted": (private / "var/run/reboot-required").exists()}


def _pending(wanted: Any) -> dict[str, Pending]:  # noqa: ANN401  JSON
    """From a dict, or from the words NAME=VERSION[:security],… of the command line."""
    if isinstance(wanted, str):
        parts = [part.partition("=") for part in wanted.split(",") if part]
        return {name: Pending(word.removesuffix(":security"), security=word.endswith(":security")) for name, _, word in parts}
    return {name: Pending(**one) for name, one in wanted.items()}


def counters(failed: int) -> str:
    """The kernel's beancounters, shortened to two."""
    head = "Version: 2.5\n       uid  resource           held    maxheld    barrier      limit    failcnt\n"
    counted = f"      101:  kmemsize        1234567    2345678   11055923   11377049 {failed:>10}\n"
    return f"{head}{counted}            numproc              11         20        240        240          0\n"
