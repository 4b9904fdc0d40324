"""A folder that stands for a node, with a stub `vzctl` that only knows `status` and `--version`."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workers.commands import Finished

VZQ_CT = Path(__file__).parents[2] / "workers" / "node" / "vzq-ct"
JOB, OTHER = "01JD0000000000000000000000", "01JD0000000000000000000001"
BUSYBOX = shutil.which("busybox")
APPLETS = (
    "sh", "sed", "df", "ln", "dd", "tr", "rm", "mv", "rmdir", "grep", "date", "uname", "printf", "tee", "cat", "cp", "wc", "mkdir", "du",
)  # fmt: skip
SHELLS = {
    "dash": ["dash"],
    "bash": ["bash"],
    "bash --posix": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
    "busybox alone": ["busybox", "sh"],  # its own sed, df, dd … as well
}
VZCTL = """#!/bin/sh
[ "$1" = --version ] && { echo "vzctl version 4.11.1-3.ga3f732ef"; exit; }
echo "stat(/vz/root/$2): No such file or directory" >&2
is=deleted
[ -e "$VZQ_NODE_ROOT/etc/vz/conf/$2.conf" ] && [ -d "$VZQ_NODE_ROOT/vz/private/$2" ] && is=exist
read -r state 2>/dev/null < "$VZQ_NODE_ROOT/state.$2" || state="unmounted down"
echo "Directory /proc/vz not found, assuming non-OpenVZ kernel"
echo "CTID $2 $is $state"
"""
SAMPLE = 'PHYSPAGES="0:65536"\nSWAPPAGES="0:131072"\nVE_LAYOUT="ploop"\nDISKSPACE="2G:2.2G"'  # no line end, on purpose
VZ_CONF = """\
# VE_PRIVATE=/elsewhere/$VEID
LOCKDIR=/vz/lock
TEMPLATE=/vz/template   # a comment
VE_ROOT=/vz/root/$VEID
VE_PRIVATE="/vz/private/${VEID}"
VE_LAYOUT=simfs
"""


@dataclass(frozen=True)
class Bench:
    """The folder and how vzq-ct is run in it."""

    root: Path
    shell: Sequence[str]
    path: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, program: Path = VZQ_CT) -> Finished:
        """One call of vzq-ct, or of another of our programs."""
        done = subprocess.run([*self.shell, str(program), *words], env=self.env, capture_output=True, timeout=30, check=False)
        return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        """The same, not waited for."""
        return subprocess.Popen([*self.shell, str(VZQ_CT), *words], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": self.path, "VZQ_NODE_ROOT": str(self.root), **self.environment}

    def conf(self, ctid: int) -> Path:
        return self.root / f"etc/vz/conf/{ctid}.conf"

    def private(self, ctid: int) -> Path:
        return self.root / f"vz/private/{ctid}"

    def lock(self, ctid: int) -> Path:
        return self.root / f"vz/lock/{ctid}.lck"

    def tool(self, name: str, text: str) -> None:
        """Put a program on the node."""
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def make_whole(self, ctid: int, *, job: str = JOB) -> None:
        """A finished container."""
        self.conf(ctid).write_text(f'X_VZQ_JOB="{job}"\nOSTEMPLATE="debian-12"\n')
        (self.private(ctid) / "etc").mkdir(parents=True)

    def make_half(self, ctid: int, *, job: str = JOB) -> None:
        """What SIGKILL leaves of a create (create-sigkill): conf, empty private, CTID.tmp with files, stale lock."""
        self.conf(ctid).write_text(f'X_VZQ_JOB="{job}"\n')
        self.private(ctid).mkdir(parents=True)
        (self.private(ctid).with_name(f"{ctid}.tmp") / "usr/share").mkdir(parents=True)
        self.lock(ctid).write_text(f"{dead_pid()}\n\n")

    def names(self, folder: str) -> list[str]:
        """What is in one folder."""
        return sorted(path.name for path in (self.root / folder).iterdir())

    def everything(self) -> set[str]:
        """All paths below the folder, to see that nothing was touched."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


def make_bench(root: Path, shell: str) -> Bench:
    """A node with a sample, a template and no container."""
    for folder in ("etc/vz/conf", "vz/private", "vz/root", "vz/lock", "vz/template/cache", "bin", "proc/sys/kernel/random"):
        (root / folder).mkdir(parents=True)
    (root / "etc/vz/vz.conf").write_text(VZ_CONF)
    (root / "etc/vz/conf/ve-vswap-256m.conf-sample").write_text(SAMPLE)
    (root / "vz/template/cache/debian-12-x86_64-minbase.tar.gz").touch()
    (root / "proc/sys/kernel/random/boot_id").write_text("11111111-2222-3333-4444-555555555555\n")
    path = f"{root}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if shell == "busybox alone":
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to(BUSYBOX or "/nonexistent")
    bench = Bench(root, SHELLS[shell], path)
    bench.tool("vzctl", VZCTL)
    return bench


def dead_pid() -> int:
    """The id of a process that is over."""
    process = subprocess.Popen(["true"])
    process.wait()
    assert not Path(f"/proc/{process.pid}").exists()
    return process.pid
