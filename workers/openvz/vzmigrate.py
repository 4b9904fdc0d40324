"""What is said to both nodes of a move, and what vzmigrate says meanwhile. Words and reading only; nothing runs here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from models.errors import Permanent
from models.whitelist import JOB_ID, Address, CtId, HostName
from workers.commands import Command
from workers.transport.ssh import NodeAddress

Judged = Literal["move", "move-again", "move-or-offline"]  # what a failure means depends on what may still be tried (exit_codes)
MOVE_TIMEOUT = timedelta(hours=12)  # some TB over a slow link; then it is ended and put back
_QUICK = timedelta(minutes=2)
_REMOVE = timedelta(minutes=30)
_RESTORE = timedelta(minutes=10)
_T = TypeVar("_T")
_HOST: TypeAdapter[str] = TypeAdapter(HostName | Address)
_CTID: TypeAdapter[int] = TypeAdapter(CtId)
_KEY = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]{16,4096}={0,3})(?: .*)?")
_FOLDER = re.compile(r"/[A-Za-z0-9._/+-]{1,400}")

# What vzmigrate -v prints when a stage begins (facts §5.2), in its order → how far that is, 0 to 1.
STAGES: dict[str, float] = {
    "Locked CT": 0.02,
    "Preparing remote node": 0.05,
    "Syncing private": 0.1,
    "Live migrating container...": 0.6,
    "Stopping container": 0.6,
    "Suspending container": 0.62,
    "Dumping container": 0.65,
    "Copying dumpfile": 0.7,
    "Syncing private (2nd pass)": 0.8,
    "Undumping container": 0.9,
    "Starting container": 0.9,
    "Resuming container": 0.95,
    "Cleaning up": 0.97,
}
HARMLESS = frozenset({"", "Locked CT", "Preparing remote node", "Syncing private"})  # until here the container has noticed nothing


@dataclass(frozen=True)
class Way:
    """From where to where, and with whose key."""

    ctid: int
    job: str
    mark: str  # the job whose mark the container bears
    target: NodeAddress
    mux: bool = False  # the source's vzmigrate can keep one ssh connection open


class Vzmigrate:
    """The words for one move."""

    def __init__(self, way: Way) -> None:
        """Raises Permanent if a word is not on the whitelist."""
        self._way = way
        self._ct = str(_checked(_CTID, way.ctid))
        for job in (way.job, way.mark):
            if not JOB_ID.fullmatch(job):
                raise Permanent(f"{job[:40]!r} is not a job id (26 letters and digits); nothing was sent")
        self._host = _checked(_HOST, way.target.host)

    def look(self) -> Command:
        """Changes nothing; runs directly. Read it with `ends.read_end`."""
        return self._ours("look", self._ct, self._way.job, self._host)

    def told(self) -> Command:
        """What vzmigrate has said so far; runs directly."""
        return self._ours("told", self._ct, self._way.job)

    def ready(self) -> Command:
        """On the source: it does not start with its node any more; a key pair for this move, and the target's host key as it is pinned."""
        algorithm, key = _key(self._way.target.host_key)
        return self._ours("ready", self._ct, self._way.job, self._way.mark, algorithm, key)

    def authorize(self, *, key: str, address: str, layout: str) -> Command:
        """On the target: the move's key may come in from the source's address; nothing of this id may be there yet."""
        algorithm, words = _key(key)
        return self._ours("authorize", self._ct, self._way.job, _checked(_HOST, address), "ploop" if layout == "ploop" else "simfs", algorithm, words)

    def revoke(self) -> Command:
        """On either node: nothing of the move's trust is left. Safe to repeat."""
        return self._ours("revoke", self._way.job)

    def quiet(self) -> Command:
        """On the source: what a killed vzmigrate left running ends."""
        return self._ours("quiet", self._ct, self._way.job)

    def fell(self) -> Command:
        """On either node: what runs although its configuration or its area is gone ends. Safe to repeat."""
        return self._ours("fell", self._ct, self._way.job, self._way.mark)

    def bar(self) -> Command:
        """On the target: the half copy that the move brought can no longer start; `vzq-ct drop` removes it. Safe to repeat."""
        return self._ours("bar", self._ct, self._way.job, self._way.mark, timeout=_REMOVE)

    def retire(self) -> Command:
        """On the source: its copy can no longer start."""
        return self._ours("retire", self._ct, self._way.job, self._way.mark)

    def arrive(self, *, onboot: bool) -> Command:
        """On the target: its neighbours are told where the addresses are now, it starts with its node or not, the move's key is let in no more."""
        return self._ours("arrive", self._ct, self._way.job, self._way.mark, "yes" if onboot else "no")

    def leave(self) -> Command:
        """On the source: the copy that `-r no` kept goes for good, and the move's key. Safe to repeat."""
        return self._ours("leave", self._ct, self._way.job, self._way.mark, timeout=_REMOVE)

    def thaw(self) -> Command:
        """A frozen container goes on where it is."""
        return Command("thaw", ["vzctl", "chkpnt", self._ct, "--resume"], timeout=_QUICK)

    def kill_frozen(self) -> Command:
        """On the source, once the target has run: its frozen copy ends."""
        return Command("kill-frozen", ["vzctl", "chkpnt", self._ct, "--kill"], timeout=_QUICK)

    def drop_restored(self) -> Command:
        """On the target: a copy that was restored and never let go ends."""
        return Command("drop-restored", ["vzctl", "restore", self._ct, "--kill"], timeout=_QUICK)

    def restore(self, dump_file: str) -> Command:
        """On the source: it goes on from the dump that vzmigrate made."""
        return Command("restore-dump", ["vzctl", "restore", self._ct, "--dumpfile", _folder(dump_file)], timeout=_RESTORE)

    def migrate(self, *, online: bool, folder: str, judged: Judged) -> Command:
        """On the source: the move itself. The source's copy stays (`-r no`), and it says what it does (`-v`)."""
        words = ["vzmigrate", "-r", "no", "-v", *(["--ssh-mux"] if self._way.mux else []), *(["--online"] if online else [])]
        return Command(judged, [*words, f"--ssh={' '.join(self._ssh(_folder(folder)))}", self._host, self._ct], timeout=MOVE_TIMEOUT)

    def _ssh(self, folder: str) -> Sequence[str]:
        """Vzmigrate hands these to ssh and, with the first `-p` made `-P`, to scp (facts §5.1): the port comes first, so a path may have a `-p`."""
        return [
            "-p", str(self._way.target.port),
            "-i", f"{folder}/key",
            "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={folder}/known_hosts",
            "-o", f"HostKeyAlias=vzq-{self._way.job}",
            "-o", "StrictHostKeyChecking=yes",
            "-o", "ConnectTimeout=10",
            "-o", "ServerAliveInterval=5",
            "-o", "ServerAliveCountMax=3",
        ]  # fmt: skip

    @staticmethod
    def _ours(verb: str, *words: str, timeout: timedelta = _QUICK) -> Command:
        return Command(verb, ["vzq-mv", verb, *words], timeout=timeout)


def stage_of(told: str) -> str:
    """The last stage that vzmigrate has said it begins; empty before the first."""
    stage = ""
    for line in told.splitlines():
        words = line.strip()
        found = next((known for known in STAGES if words == known or (known == "Locked CT" and words.startswith(known))), "")
        stage = found or stage
    return stage


def _key(line: str) -> tuple[str, str]:
    found = _KEY.fullmatch(line.strip().split("\n")[0])
    if found is None:
        raise Permanent("a node's or the move's public key cannot be read; enrol the target again, or look at /var/lib/vzq/move on the source")
    return found[1], found[2]


def _folder(path: str) -> str:
    if not _FOLDER.fullmatch(path) or ".." in path:
        raise Permanent(f"{path[:60]!r} is not a path that vzq would hand to a root shell; see vz.conf on the node")
    return path


def _checked(kind: TypeAdapter[_T], value: _T) -> _T:
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError as error:
        raise Permanent(f"{error.errors()[0]['msg']}; nothing was sent") from None
