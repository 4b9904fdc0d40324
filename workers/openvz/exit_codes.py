"""What an exit code of the legacy tools means, by command and code together: the one place where they are translated.

31 from exec2 is not 31 from start, and 14 ends a destroy well and a start badly. A code that is not listed for its
command, nor for all of vzctl, is Unexpected: the job stops until a person looks. Codes and classes: facts §3.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from models.errors import AddressTaken, AlreadyDone, JobError, Locked, NodeFault, Permanent, Retryable, Taken, Unexpected, Unsure
from workers.commands import Command, Finished
from workers.openvz.texts import addresses_in, detected_elsewhere, last_line, signature_of
from workers.openvz.vzmigrate import stage_of


@dataclass(frozen=True)
class Meaning:
    """The class of an exit code, what the operator reads, and for NodeFault the finding."""

    error: type[JobError]
    cause: str  # the node's side of the sentence: "the OS template is not on the node"
    now: str  # what to do, or what vzq does by itself
    finding: str = ""
    after: timedelta = timedelta(seconds=15)


_AGAIN = "vzq tries again by itself"
_LOOKS = "vzq looks at the container before it does anything else"
_ORDER = "correct the order"
_PLAN = "correct the plan or the order"
_REPAIR = "repair the node; its jobs wait meanwhile"


def _again(cause: str, now: str = _AGAIN, *, seconds: int = 15) -> Meaning:
    return Meaning(Retryable, cause, now, after=timedelta(seconds=seconds))


def _locked() -> Meaning:
    return Meaning(Locked, "another vzctl or vzmigrate holds the container's lock", _AGAIN, after=timedelta(seconds=2))


def _final(cause: str, now: str = _ORDER) -> Meaning:
    return Meaning(Permanent, cause, now)


def _fault(cause: str, finding: str, now: str = _REPAIR) -> Meaning:
    return Meaning(NodeFault, cause, now, finding=finding)


def _taken(cause: str, now: str = "free it on the node or order another") -> Meaning:
    return Meaning(Taken, cause, now)


def _in_use() -> Meaning:
    return Meaning(AddressTaken, "an address that was kept for it is in use", "it is barred, and another one is taken")


def _already(cause: str) -> Meaning:
    return Meaning(AlreadyDone, cause, "nothing to do")


def _unsure(cause: str, now: str = _LOOKS) -> Meaning:
    return Meaning(Unsure, cause, now)


# Any command of vzctl, where COMMAND below has nothing of its own.
VZCTL: Mapping[int, Meaning] = {
    1: _final("a resource limit could not be set", _PLAN),
    2: _fault("the CPU scheduler could not be set", "fair scheduler"),
    3: _unsure("vzctl was interrupted or met a system error"),
    5: _fault("the kernel is no OpenVZ kernel or its modules are missing", "not an OpenVZ kernel"),
    6: _again("the node is out of memory or processes", seconds=60),
    7: _fault("the kernel refused to make or enter the container", "kernel refuses containers"),
    9: _locked(),
    10: _fault("vz.conf is missing or cannot be read", "vz.conf"),
    11: _fault("a helper program of vzctl is missing", "vzctl helper missing"),
    12: _final("vzctl was refused the permission", "see that vzq comes in as root on the node"),
    13: _final("a capability could not be set"),
    14: _final("the container has no configuration on this node", "see where the container is; order again"),
    15: _again("the command inside took too long"),
    16: _unsure("the checkpoint failed"),
    17: _unsure("the restore failed"),
    18: _fault("setluid failed", "setluid"),
    20: _final("vzctl did not understand the command", "report it: vzq and the node's vzctl do not fit"),
    21: _final("vzctl refused a value"),
    22: _fault("VE_ROOT is not set", "vz.conf"),
    23: _fault("VE_PRIVATE is not set", "vz.conf"),
    24: _fault("TEMPLATE is not set", "vz.conf"),
    27: _final("parameters are missing", _PLAN),
    28: _final("not all resource limits are set that this kernel asks for", "use another sample or plan on this node"),
    29: _final("no OS template was named"),
    31: _final("the container is not running", "start it first"),
    32: _final("the container is running", "stop it first"),
    33: _again("the container would not stop", "vzq tries again; if that goes on, stop it with --fast"),
    34: _fault("an address could not be added to the node's network", "cannot add address"),
    35: _final("the resource limits contradict one another", _PLAN),
    36: _final("the node would be overcommitted", "choose a smaller plan or another node"),
    40: _unsure("the container is not mounted"),
    41: _unsure("the container is mounted"),
    43: _final("the private area is missing", "see where the container's files are"),
    44: _taken("a private area of that id exists"),
    46: _fault("the node's disk is full", "disk-full", "free space on the node or move containers away; its jobs wait meanwhile"),
    47: _final("the files inside are no bootable system: no init or no shell", "use another template or repair the container"),
    48: _fault("the private area could not be made or unpacked", "cannot make private area"),
    49: _fault("the root folder could not be made", "cannot make root folder"),
    50: _again("mounting failed"),
    51: _again("unmounting failed: something uses it"),
    52: _again("the private area could not be removed"),
    53: _fault("the file system cannot be mounted", "mount"),
    54: _fault("a folder could not be made", "cannot make folder"),
    55: _final("the disk limits are too small for what is in the container", _PLAN),
    60: _fault("vzquota could not be switched on", "vzquota", "drop the stale quota (vzquota drop); its jobs wait meanwhile"),
    61: _fault("vzquota could not be set up", "vzquota"),
    62: _fault("vzquota refused the limit", "vzquota"),
    63: _final("no disk space limit is set", _PLAN),
    64: _final("no inode limit is set", _PLAN),
    65: _fault("the quota inside could not be set", "vzquota"),
    66: _again("the quota could not be switched off"),
    67: _final("user quotas are not set up in this container"),
    68: _again("the disk usage could not be read"),
    70: _final("the host name is refused"),
    71: _final("the address is refused"),
    72: _final("the name server is refused"),
    73: _final("the search domain is refused"),
    74: _final("the password could not be set", "see that the container has a working chpasswd"),
    77: _fault("LOCKDIR is not set", "vz.conf"),
    78: _taken("the address is in use on this node"),
    79: _final("an action script of the container or the node failed", "look at the scripts in /etc/vz/conf"),
    82: _final("the sample configuration cannot be used", "see the samples in /etc/vz/conf"),
    85: _final("the container's configuration is invalid", "correct CTID.conf on the node"),
    86: _final("a device could not be set"),
    87: _fault("installing an application failed", "application install"),
    89: _final("the address is not available"),
    91: _final("the OS template is not on the node", "put the template on the node or order another"),
    99: _final("the node knows no ploop", "use the layout simfs or another node"),
    100: _again("the container's addresses cannot be read"),
    104: _fault("the kernel refused a network device", "network device"),
    105: _final("the container is disabled", "enable it first (unsuspend)"),
    106: _final("iptables cannot be changed while it runs"),
    107: _fault("the distribution's configuration is missing", "dists missing"),
    108: _fault("an action script of the distribution is missing", "dists missing"),
    109: _final("the sample cannot be applied", "see the samples in /etc/vz/conf"),
    129: _fault("memory information could not be set", "meminfo"),
    130: _fault("the virtual network device failed", "veth"),
    131: _taken("the name is in use on this node or not allowed"),
    133: _unsure("it was not seen to come up; it usually runs all the same"),
    137: _unsure("vzctl was killed"),
    139: _fault("the configuration could not be saved", "cannot save configuration"),
    143: _unsure("vzctl was ended by a signal"),
    144: _fault("the kernel version shown inside could not be set", "osrelease"),
    148: _fault("the I/O limits could not be set", "I/O limits"),
    150: _unsure("the ploop image is missing"),
    151: _fault("the ploop image could not be made", "ploop"),
    152: _fault("the ploop image could not be mounted", "ploop"),
    153: _again("the ploop image could not be unmounted"),
    154: _again("the ploop image could not be resized"),
    155: _again("the layout could not be converted"),
    156: _again("the snapshot could not be made"),
    157: _again("the snapshots could not be merged"),
    158: _again("the snapshot could not be deleted"),
    159: _again("the snapshot could not be switched to"),
    160: _again("the snapshot could not be mounted"),
    161: _again("the snapshot could not be unmounted"),
    166: _again("the image could not be compacted"),
    167: _again("the snapshots could not be listed"),
    127: _fault("there is no vzctl on the node", "vzctl missing", "install it or correct the node's address; its jobs wait meanwhile"),
}  # fmt: skip

_BY_NOW = "vzq looks again and goes on from there"
_OFFLINE = "vzq tries once more, or moves it offline, as ordered"

COMMAND: Mapping[tuple[str, int], Meaning] = {
    ("create", 7): _unsure("the kernel refused the new container"),
    ("create", 14): _unsure("the planted configuration is gone"),
    ("create", 82): _taken("a configuration of that id exists"),
    ("create", 44): _taken("a private area of that id exists"),
    ("create", 31): _unsure("vzctl create says: not running"),
    ("create", 32): _taken("a container of that id is running"),
    ("first-start", 32): _already("it is running"),
    ("first-start", 78): _in_use(),
    ("new-addresses", 78): _in_use(),
    ("start", 32): _already("it is running"),
    ("start", 43): _final("its private area is missing", "see where the container's files are"),
    ("stop", 31): _already("it is not running"),
    ("stop", 40): _already("it is stopped and not mounted"),
    ("umount", 40): _already("it is not mounted"),
    ("umount", 32): _again("the container is running", _BY_NOW),
    ("mount", 41): _already("it is mounted"),
    ("mount", 32): _already("it is running"),
    ("destroy", 14): _already("there is no such container"),
    ("destroy", 32): _again("the container is running", _BY_NOW),
    ("destroy", 41): _again("the container is mounted", "vzq unmounts it and tries again"),
    ("suspend", 31): _final("the container is not running", "start it first"),
    ("resume", 32): _already("it is running"),
    ("exec2", 3): _unsure("the command inside was killed"),
    ("exec2", 7): _again("the container is frozen by a checkpoint", seconds=5),
    ("exec-true", 31): _again("the container is not running yet, or halted", seconds=5),
    ("exec-true", 3): _again("the command inside was killed", seconds=5),
    ("script", 3): _final(
        "the script was ended by a signal: the container went down, or memory was short", "see what it has done; it is not run a second time unasked"
    ),
    ("script", 75): _again("another job of vzq runs something in the container", seconds=10),
    ("set-password", 1): _final("chpasswd inside refused the password or the user", "use another password or see that the user exists"),
    ("set-password", 127): _final("the container has no chpasswd", "use a template that has it, or set the password by hand"),
    ("recreate", 46): _final("the node's disk is full", "free space on the node, then order again; the old system comes back"),
    ("recreate", 48): _final("the new system could not be unpacked", "repair or replace the template, then order again; the old system comes back"),
    ("aside", 16): _again("the old system is in use, or suspended to a dump", "vzq stops it and tries again; resume a suspended one by hand"),
    ("vzq-ct", 14): _final("the container has no configuration on this node", "see where the container is; order again"),
    ("vzq-ct", 64): _final("vzq-ct did not understand the command", "bring the node's vzq-ct up to date"),
    ("vzq-ct", 66): _final("a file that vzq-ct needs is missing or odd", "see the samples in /etc/vz/conf and vz.conf"),
    ("vzq-ct", 74): _fault("vzq-ct could not write", "disk-full", "free space on the node or mount it writable; its jobs wait meanwhile"),
    ("vzq-ct", 75): _again("something of the container is still in use"),
    ("vzq-ct", 9): _locked(),
    ("vzq-ct", 17): _taken("the id belongs to somebody else on the node", "nothing was touched; order another id or free this one"),
    ("vzq-ct", 127): _fault("vzq-ct is not on the node", "not enrolled", "enrol the node again; its jobs wait meanwhile"),
    ("vzmigrate", 1): _final("vzmigrate did not understand the command, or could not lock the container", "look at its lock on the source"),
    ("vzmigrate", 2): _again("the container does not run any more", _BY_NOW, seconds=2),
    ("vzmigrate", 4): _again("the source could not log in at the target", "vzq tries again; see that its sshd lets root in by key", seconds=15),
    ("vzmigrate", 6): _again("copying failed", "vzq tries again; see that the target has room and stays reachable from the source", seconds=30),
    ("vzmigrate", 7): _final("the container did not come up on the target; the source has it again", "see the target's logs; order it offline"),
    ("vzmigrate", 8): _final("the source could not suspend or stop the container; it goes on there", "order it offline, or later"),
    ("vzmigrate", 9): _again("there is a container of that id on the target", _BY_NOW, seconds=2),
    ("vzmigrate", 10): _final("there is no such container on the source", "see `vzq finding list`"),
    ("vzmigrate", 12): _final("its address is in use on the target", "find out which container there has it"),
    ("vzmigrate", 13): _again("the quota on the target failed", "vzq tries again; drop a stale quota there (vzquota drop)"),
    ("vzmigrate", 14): _final("the target's OpenVZ does not run, or lacks a module", "start vz there, load the module, or order it offline"),
    ("vzmigrate", 15): _final("its name or configuration could not be set on the target", "see whether another container there has its name"),
    ("vzmigrate", 16): _final("the target knows no ploop", "choose another node"),
    ("vzmigrate", 17): _final("the target's checkpoint format is older", "choose another node, or order it offline"),
    ("vzmigrate", 18): _final("the target's processor lacks features of the source's", "choose another node, or order it offline"),
    ("vzmigrate", 19): _final("the target's vz.conf cannot be read", "mend it there"),
    ("vzmigrate", 20): _locked(),
    ("vzmigrate", 127): _fault("there is no vzmigrate on the node", "vzmigrate missing", "install it; the node's jobs wait meanwhile"),
    ("vzmigrate", 137): _unsure("vzmigrate was killed"),
    ("vzmigrate", 143): _unsure("vzmigrate was ended by a signal"),
    ("move-again", 7): _again("the container did not come up on the target; it goes on on the source", "vzq tries once more"),
    ("move-again", 8): _again("the source could not suspend the container; it goes on there", "vzq tries once more"),
    ("move-or-offline", 7): _again("the container did not come up on the target; it goes on on the source", _OFFLINE),
    ("move-or-offline", 8): _again("the source could not suspend the container; it goes on there", _OFFLINE),
    ("move-or-offline", 14): _again("the target cannot take it online", _OFFLINE, seconds=1),
    ("move-or-offline", 17): _again("the target's checkpoint format is older", _OFFLINE, seconds=1),
    ("move-or-offline", 18): _again("the target's processor lacks features of the source's", _OFFLINE, seconds=1),
    ("thaw", 31): _again("the container does not run any more", _BY_NOW, seconds=1),
    ("thaw", 16): _again("the container could not be let go on", _BY_NOW, seconds=5),
    ("restore-dump", 17): _again("the dump cannot be used", "vzq starts the container anew", seconds=1),
    ("restore-dump", 32): _already("it is running"),
    ("drop-restored", 31): _again("the restored copy is gone", _BY_NOW, seconds=1),
    ("kill-frozen", 31): _again("the frozen copy is gone", _BY_NOW, seconds=1),
    ("vzq-mv", 64): _final("vzq-mv did not understand the command", "bring the node's vzq-mv up to date (`vzq node observe`)"),
    ("vzq-mv", 66): _final("vz.conf on the node is odd", "mend it there"),
    ("vzq-mv", 74): _fault("vzq-mv could not write", "disk-full", "free space on the node or mount it writable; its jobs wait meanwhile"),
    ("vzq-mv", 75): _again("something of the move is still in use"),
    ("vzq-mv", 16): _again("the container runs or is mounted", _BY_NOW, seconds=2),
    ("vzq-mv", 9): _locked(),
    ("vzq-mv", 17): _final("something there is not this move's", "nothing was touched; look at it there"),
    ("vzq-mv", 127): _fault("vzq-mv is not on the node", "not enrolled", "look at the node again (`vzq node observe`); its jobs wait meanwhile"),
    ("vzlist", 127): _fault("there is no vzlist on the node", "vzctl missing"),
}


def judge(command: Command, answer: Finished) -> None:
    """Return on exit 0; else raise what to do next. 0 is no proof that something happened (facts §11): look again."""
    if answer.code and not _went_to_its_end(command, answer):
        raise error_of(command, answer)


def _went_to_its_end(command: Command, answer: Finished) -> bool:
    """Releases of vzmigrate before its last line was `exit 0` end with what a test for a file gave: 1, after all is done (bin/vzmigrate.in)."""
    return command.argv[0] == "vzmigrate" and answer.code == 1 and stage_of(answer.out) == "Cleaning up"


def error_of(command: Command, answer: Finished) -> JobError:
    """The error that a non-zero exit stands for."""
    meaning = meaning_of(command, answer.code)
    said = last_line(command, answer)
    tail = f" (the node says: {said})" if said else ""
    if meaning is None:
        return Unexpected(
            f"{command.name} ended with {answer.code}, which vzq does not know{tail}; look at the container, then resolve the job",
            signature=signature_of(command, answer),
        )
    why = f"{command.name}: {meaning.cause}; {meaning.now}{tail}"
    if issubclass(meaning.error, NodeFault):
        return NodeFault(why, finding=meaning.finding, after=meaning.after)
    if issubclass(meaning.error, Retryable):
        return meaning.error(why, after=meaning.after)
    if issubclass(meaning.error, AddressTaken):
        return AddressTaken(why, addresses=addresses_in(answer))
    return meaning.error(why)


def meaning_of(command: Command, code: int) -> Meaning | None:
    """By the command's name, then by its program and verb, then by what all of vzctl says."""
    program, verb = command.argv[0], command.argv[1] if len(command.argv) > 1 else ""
    if command.name == "script":  # a shell bounds its output and ends as exec2 does; how the script ended is told apart (inside.py)
        program, verb = "vzctl", "exec2"
    special = COMMAND.get((command.name, code)) or COMMAND.get((verb if program == "vzctl" else program, code))
    if special is not None or program != "vzctl":
        return special
    if verb == "exec2" and code not in _OF_EXEC2:
        return None  # the command's own code, not vzctl's
    return VZCTL.get(code)


_OF_EXEC2 = frozenset({3, 5, 6, 7, 10, 14, 20, 21, 31, 47})  # what vzctl exec2 says for itself (facts §2.5)


def refuse_duplicates(command: Command, answer: Finished) -> None:
    """Addresses that are new on the node must be nobody else's: vzctl only warns of one that another machine answers for, and goes on."""
    if command.name in ("first-start", "new-addresses") and (twice := detected_elsewhere(answer)):
        why = f"{command.name}: another machine in the node's network answers for {', '.join(twice)}; it is barred, and another one is taken"
        raise AddressTaken(why, addresses=twice)


def no_marker(command: Command, answer: Finished) -> Unsure:
    """Exit 0, but what had to come from inside the container did not come."""
    said = last_line(command, answer)
    tail = f" (the node says: {said})" if said else ""
    return Unsure(f"{command.name}: the container gave no answer of its own; {_LOOKS}{tail}")
