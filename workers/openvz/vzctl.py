"""The legacy dialect, vzctl 3 and 4: words only. What the answers mean is in exit_codes, sights, vzlist and holds."""

import re
from collections.abc import Sequence
from datetime import timedelta

from models.errors import Permanent
from workers.commands import Command, Finished
from workers.openvz import exit_codes, holds, inside, vzlist
from workers.openvz.checked import (
    DESCRIPTION,
    HOSTNAME,
    PASSWORD,
    WORD,
    checked,
    container_id,
    layout_of,
    plain_address,
    positive,
    snapshot_id,
)
from workers.openvz.driver import Abilities, Identity, Limits, Listed, Sight
from workers.openvz.vzq_ct import VzqCt

ALIVE = "vzq-alive"  # printed from inside: exec2's own exit codes cannot be told from the command's (facts §2.5)
PASSWORD_SET = "vzq-password:"  # noqa: S105  (a marker, followed by chpasswd's exit code)

# So much of a script's output is kept, first and last; together what vzq-run hands back. Without a bound a script that prints
# until its time-out fills the node's disk. What is beyond it is read all the same: else writes inside would fail, and change how the script ends.
OUTPUT_HEAD = OUTPUT_TAIL = 131_072
_BOUNDED = 'exec 3>&1; code=$({ { vzctl exec2 "$1" - 3>&- 4>&-; echo $? >&4; } | { head -c "$2"; tail -c "$3"; } >&3 4>&-; } 4>&1); exit $code'

_CPUUNITS = range(8, 500_001)  # vzctl's own bounds

# How long a command may take before the step is cancelled on the node.
_QUICK = timedelta(minutes=2)
_START = timedelta(minutes=5)
_STOP = timedelta(minutes=6)  # STOP_TIMEOUT 120 s, then 60 s for the kill, twice over
_CREATE = timedelta(minutes=30)  # a slow disk unpacks some GB
_DESTROY = timedelta(minutes=15)
_SCRIPT = timedelta(minutes=3)  # over the script's own time-out: the grace of its end, a slow node
_SNAPSHOT = timedelta(minutes=5)
_MERGE = timedelta(hours=1)  # all that was written since is copied


class Vzctl(VzqCt):
    """Driver for vzctl 3.0.30 to 4.11 on OpenVZ kernels (vswap or beancounters) and on upstream ones."""

    def __init__(self, abilities: Abilities | None = None) -> None:
        """`abilities` of the node choose among words; None stands for a newest vzctl with vswap."""
        self._vswap = abilities is None or abilities.vswap
        self._version = _version(abilities.version) if abilities else (4, 11)

    # -- what is there ----------------------------------------------------------------------------------------

    def listing(self) -> Command:
        """Changes nothing; runs directly. Read it with `listed`."""
        if self._version < (4, 0):  # no -j yet
            return Command("listing", ["vzlist", "-a", "-H", "-o", "ctid,status"], timeout=_QUICK)
        return Command("listing", ["vzlist", "-a", "-j", "-o", ",".join(vzlist.FIELDS)], timeout=_QUICK)

    def listed(self, answer: Finished) -> list[Listed]:
        """The node's containers; a hostile description costs at most its own field."""
        return vzlist.read_columns(answer) if self._version < (4, 0) else vzlist.read_json(answer)

    # -- making and unmaking ----------------------------------------------------------------------------------

    def create(self, ctid: int, *, template: str, layout: str, limits: Limits) -> Command:
        """Fill the private area of a planted container; not repeatable before `clean`. Without --config: the conf is there."""
        argv = ["vzctl", "create", container_id(ctid), "--ostemplate", checked(WORD, template)]
        if self._version >= (3, 1):
            argv += ["--layout", layout_of(layout)]
        if layout == "ploop":  # the image is made in its size; simfs would take it for a quota, which set_limits writes
            argv += ["--diskspace", f"{holds.kib(positive(limits.disk_bytes, 'disk_bytes'))}K"]
        return Command("create", argv, timeout=_CREATE)

    def destroy(self, ctid: int) -> Command:
        """Take a stopped, unmounted container away. The engine proves first that it is ours."""
        return Command("destroy", ["vzctl", "destroy", container_id(ctid)], timeout=_DESTROY)

    # -- how it is set up -------------------------------------------------------------------------------------

    def set_limits(self, ctid: int, limits: Limits) -> Command:
        """RAM, swap, disk and CPU in one `set --save`. Never send it without having seen the container: `set` of a
        missing one writes a stray conf and says 0."""
        disk = f"{holds.kib(positive(limits.disk_bytes, 'disk_bytes'))}K"
        words = [*self._memory(limits), "--diskspace", f"{disk}:{disk}"]
        if limits.inodes is not None:
            words += ["--diskinodes", f"{positive(limits.inodes, 'inodes')}:{limits.inodes}"]
        if limits.cpuunits not in _CPUUNITS:
            raise Permanent(f"cpuunits {limits.cpuunits!r} is not between 8 and 500000; correct the plan")
        words += ["--cpus", str(positive(limits.cpus, "cpus")), "--cpuunits", str(limits.cpuunits)]
        return _set("set-limits", ctid, words)

    def _memory(self, limits: Limits) -> list[str]:
        ram, swap = positive(limits.ram_bytes, "ram_bytes"), positive(limits.swap_bytes, "swap_bytes", least=0)
        if self._vswap:  # always both: one alone ends with 28
            return ["--ram", f"{holds.kib(ram)}K", "--swap", f"{holds.kib(swap)}K"]
        # Beancounters: what may be allocated, what is guaranteed, and what survives an out-of-memory kill. All other
        # counters (kmemsize, numproc, buffers) come from the sample, without which start would end with 28.
        both, guaranteed = holds.pages(ram + swap), holds.pages(ram)
        return [
            "--privvmpages", f"{both}:{both}",
            "--vmguarpages", f"{guaranteed}:unlimited",
            "--oomguarpages", f"{guaranteed}:unlimited",
        ]  # fmt: skip

    def set_identity(self, ctid: int, identity: Identity) -> Command:
        """Host name, name, description and resolvers in one `set --save`; only on a container that was seen."""
        words = ["--hostname", checked(HOSTNAME, identity.hostname)]
        if identity.name is not None:
            words += ["--name", checked(WORD, identity.name) if identity.name else ""]
        if identity.description:
            words += ["--description", checked(DESCRIPTION, identity.description)]
        for server in identity.nameservers:  # all in one call: they replace what was there
            words += ["--nameserver", plain_address(server)]
        if identity.searchdomain:
            words += ["--searchdomain", checked(HOSTNAME, identity.searchdomain)]
        return _set("set-identity", ctid, words)

    def add_addresses(self, ctid: int, addresses: Sequence[str]) -> Command:
        """Add these; leave out those it has, vzctl would delete and add them again."""
        return _set("add-addresses", ctid, _repeated("--ipadd", addresses))

    def remove_addresses(self, ctid: int, addresses: Sequence[str]) -> Command:
        """Remove these by name; `--ipdel all` fails on upstream kernels (100)."""
        return _set("remove-addresses", ctid, _repeated("--ipdel", addresses))

    def set_onboot(self, ctid: int, *, onboot: bool) -> Command:
        """Whether it starts with the node; only on a container that was seen."""
        return _set("set-onboot", ctid, ["--onboot", "yes" if onboot else "no"])

    def set_disabled(self, ctid: int, *, disabled: bool) -> Command:
        """Whether vzctl refuses to start it (105), over a reboot too; only on a container that was seen."""
        return _set("set-disabled", ctid, ["--disabled", "yes" if disabled else "no"])

    def set_password(self, ctid: int, user: str, password: str) -> Command:
        """Over stdin and from inside, so that no process list shows it; the container must run."""
        line = f"{checked(WORD, user)}:{checked(PASSWORD, password, secret=True)}"
        script = f"chpasswd <<'vzq-end'\n{line}\nvzq-end\nrc=$?\necho {PASSWORD_SET}$rc\nexit $rc\n"
        return Command("set-password", ["vzctl", "exec2", container_id(ctid), "-"], stdin=script.encode("ascii"), timeout=_QUICK)

    # -- running ----------------------------------------------------------------------------------------------

    def enter(self, ctid: int) -> Command:
        """A shell inside, for a terminal; runs directly, and ends with its terminal."""
        return Command("enter", ["vzctl", "enter", container_id(ctid)])

    def start(self, ctid: int) -> Command:
        """Start without --wait, which can hold the lock for an hour; ask with `exec_true` whether it answers."""
        return Command("start", ["vzctl", "start", container_id(ctid)], timeout=_START)

    def stop(self, ctid: int, *, fast: bool = False) -> Command:
        """Halt it from inside, or kill it with `fast`. A stopped one is 0 as well."""
        return Command("stop", ["vzctl", "stop", container_id(ctid), *(["--fast"] if fast else [])], timeout=_STOP)

    def umount(self, ctid: int) -> Command:
        """A container that halted by itself stays mounted, and destroy refuses it (41)."""
        return Command("umount", ["vzctl", "umount", container_id(ctid)], timeout=_QUICK)

    def snapshot(self, ctid: int, name: str) -> Command:
        """Of the files of a ploop container, under an id of ours; what runs in it goes on unfrozen. A look shows whether it is there."""
        return Command(
            "snapshot", ["vzctl", "snapshot", container_id(ctid), "--id", snapshot_id(name), "--name", "vzq", "--skip-suspend"], timeout=_SNAPSHOT
        )

    def snapshot_switch(self, ctid: int, name: str) -> Command:
        """Back to this snapshot; what is not in another one is lost. The container is stopped afterwards."""
        return Command(
            "snapshot-switch", ["vzctl", "snapshot-switch", container_id(ctid), "--id", snapshot_id(name), "--skip-resume"], timeout=_SNAPSHOT
        )

    def snapshot_delete(self, ctid: int, name: str) -> Command:
        """Merge it away; takes long where much was written since."""
        return Command("snapshot-delete", ["vzctl", "snapshot-delete", container_id(ctid), "--id", snapshot_id(name)], timeout=_MERGE)

    def exec_true(self, ctid: int) -> Command:
        """Does a command inside answer? Judged by what it prints, not by the exit code alone."""
        return Command("exec-true", ["vzctl", "exec2", container_id(ctid), f"echo {ALIVE}"], timeout=timedelta(seconds=60))

    def run_script(self, ctid: int, script: inside.Script, job: str) -> Command:
        """Run a script inside, over stdin; how it ended is in what comes back (`told`), not in the exit code. Of endless output the middle goes."""
        words = ["sh", "-c", _BOUNDED, "vzq-script", container_id(ctid), str(OUTPUT_HEAD), str(OUTPUT_TAIL)]
        return Command("script", words, stdin=inside.wrapped(script, job), timeout=script.timeout + _SCRIPT)

    def told(self, answer: Finished) -> inside.Ended:
        """How the script of `run_script` ended."""
        return inside.ended(answer.err)

    # -- what answers mean ------------------------------------------------------------------------------------

    def judge(self, command: Command, answer: Finished) -> None:
        """Return if it was done; else raise what to do next (models.errors)."""
        exit_codes.judge(command, answer)
        exit_codes.refuse_duplicates(command, answer)
        if command.name == "exec-true" and ALIVE not in answer.out.split("\n"):
            raise exit_codes.no_marker(command, answer)
        if command.name == "script" and inside.ended(answer.err).code is None:
            raise exit_codes.no_marker(command, answer)
        if command.name == "set-password" and f"{PASSWORD_SET}0" not in answer.out.split("\n"):
            raise exit_codes.no_marker(command, answer)

    def limits(self, sight: Sight) -> Limits:
        """What the conf gives it; 0 stands for no limit, or for one that cannot be read."""
        return holds.limits_of(sight, vswap=self._vswap)

    def has_limits(self, sight: Sight, limits: Limits) -> bool:
        """The conf carries these limits."""
        return holds.has_limits(sight, limits, vswap=self._vswap)

    def has_identity(self, sight: Sight, identity: Identity) -> bool:
        """The conf carries these names."""
        return holds.has_identity(sight, identity)

    def has_addresses(self, sight: Sight, addresses: Sequence[str]) -> bool:
        """All these addresses are in the conf."""
        return holds.has_addresses(sight, addresses)

    def has_onboot(self, sight: Sight, *, onboot: bool) -> bool:
        """The conf says whether it starts with the node."""
        return holds.has_onboot(sight, onboot=onboot)

    def has_disabled(self, sight: Sight, *, disabled: bool) -> bool:
        """The conf says whether it may be started."""
        return holds.has_disabled(sight, disabled=disabled)


def _set(name: str, ctid: int, words: Sequence[str]) -> Command:
    return Command(name, ["vzctl", "set", container_id(ctid), *words, "--save"], timeout=_QUICK)


def _repeated(option: str, addresses: Sequence[str]) -> list[str]:
    if not addresses:
        raise Permanent(f"{option} without an address; order at least one")
    return [word for address in addresses for word in (option, plain_address(address))]


def _version(text: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (4, 11)
