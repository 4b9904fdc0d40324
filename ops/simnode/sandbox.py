"""The folder of one simulated node: which file is where, and what a fresh node finds in it."""

import shutil
import uuid
from pathlib import Path

from ops.simnode.node_state import Flavour
from ops.simnode.templates import TEMPLATES, pack

VZ_CONF = """\
## Global parameters
VIRTUOZZO=yes
LOCKDIR=/vz/lock
DUMPDIR=/vz/dump
VE0CPUUNITS=1000

## Logging parameters
LOGGING=yes
LOGFILE=/var/log/vzctl.log
LOG_LEVEL=0
VERBOSE=0

## Disk quota parameters
DISK_QUOTA=no
VZFASTBOOT=no

## Template parameters
TEMPLATE=/vz/template

## Defaults for containers
VE_ROOT=/vz/root/$VEID
VE_PRIVATE=/vz/private/$VEID
VE_LAYOUT=simfs
CONFIGFILE="vswap-256m"
DEF_OSTEMPLATE="debian-12-x86_64-minbase"

IPV6="no"
"""
SAMPLE_HEAD = """\
# Sample configuration of a container with VSwap.
# For a small server: the memory is guaranteed, the
# swap space is what it may take beyond that.
#
# Copied to CTID.conf by `vzctl create`; values there are
# changed by `vzctl set CTID ... --save`.
#
# RAM and swap are pages, or a number with a suffix.
# Disk space and inodes are soft limit and hard limit,
#
# the grace period is in seconds. See ctid.conf(5).
#

# The memory of the container
"""  # with the body below a sample has the 35 lines of the recorded one
SAMPLE_BODY = """\
PHYSPAGES="0:{ram}"

# The swap space of the container
SWAPPAGES="0:{swap}"

# Disk quota parameters (in form of softlimit:hardlimit)

# Disk space
DISKSPACE="{disk}G:{hard}G"

# Inodes
DISKINODES="131072:144179"

# Grace period of the quota, in seconds
QUOTATIME="0"

# CPU fair scheduler parameter
CPUUNITS="1000"

# Netfilter modules for the container
NETFILTER="stateless"
"""
VZ_SERVICE = "etc/init.d/vz"
SAMPLES = {"vswap-256m": (256, 2), "vswap-512m": (512, 5), "vswap-1g": (1024, 10), "vswap-2g": (2048, 20), "vswap-4g": (4096, 40)}
FOLDERS = (
    "etc/vz/conf", "etc/vz/names", "etc/vz/dists", "vz/private", "vz/root", "vz/lock", "vz/dump", "vz/template/cache",
    "etc/init.d", "var/log", "var/lib/vzctl/veip", "root", "tmp", "proc/sys/kernel/random",
)  # fmt: skip


def sample(ram_mib: int, disk_gib: int) -> str:
    """The text of a ve-NAME.conf-sample."""
    hard = f"{disk_gib * 1.1:.1f}".removesuffix(".0")
    return SAMPLE_HEAD + SAMPLE_BODY.format(ram=f"{ram_mib}M", swap=f"{ram_mib * 2}M", disk=disk_gib, hard=hard)


class Sandbox:
    """Paths of one node under its own root; `shown` is the path as the node's tools print it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.conf_dir = root / "etc/vz/conf"
        self.names_dir = root / "etc/vz/names"
        self.private_dir = root / "vz/private"
        self.root_dir = root / "vz/root"
        self.lock_dir = root / "vz/lock"
        self.dump_dir = root / "vz/dump"
        self.cache_dir = root / "vz/template/cache"
        self.log_file = root / "var/log/vzctl.log"
        self.home = root / "root"

    def conf(self, ctid: int) -> Path:
        return self.conf_dir / f"{ctid}.conf"

    def sample(self, name: str) -> Path:
        return self.conf_dir / f"ve-{name}.conf-sample"

    def private(self, ctid: int) -> Path:
        return self.private_dir / str(ctid)

    def mount_point(self, ctid: int) -> Path:
        return self.root_dir / str(ctid)

    def lock(self, ctid: int) -> Path:
        return self.lock_dir / f"{ctid}.lck"

    def dump(self, ctid: int) -> Path:
        return self.dump_dir / f"Dump.{ctid}"

    def shown(self, path: Path) -> str:
        return "/" + str(path.relative_to(self.root))

    def real(self, path: str) -> Path:
        """A path a caller gave: inside the sandbox if the sandbox has it, else the machine's own."""
        inside = self.root / path.lstrip("/")
        return inside if inside.exists() else Path(path)

    def furnish(self, flavour: Flavour) -> None:
        """Make whatever a fresh node has and this one lacks; what is there already stays."""
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        files = {
            "etc/vz/vz.conf": VZ_CONF,
            "etc/vz/conf/0.conf": '# Configuration of the node itself\nONBOOT="no"\n',
            "proc/sys/kernel/random/boot_id": f"{uuid.uuid4()}\n",
            **{f"etc/vz/conf/ve-{name}.conf-sample": sample(*size) for name, size in SAMPLES.items()},
        }
        for name, text in {**files, **machine_files(flavour)}.items():
            if not (self.root / name).exists():
                self._write(name, text)
        for template in TEMPLATES.values():
            pack(template, self.cache_dir)

    def show(self, flavour: Flavour) -> None:
        """Let the files that tell of the machine say what it is now."""
        for name in MACHINE_FILES:
            (self.root / name).unlink(missing_ok=True)
        for name, text in machine_files(flavour).items():
            self._write(name, text)
        if not flavour.openvz and not flavour.vswap:
            shutil.rmtree(self.root / "proc/vz", ignore_errors=True)

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name == VZ_SERVICE:
            path.chmod(0o755)

    @property
    def boot_id_file(self) -> Path:
        return self.root / "proc/sys/kernel/random/boot_id"

    def ctids(self) -> list[int]:
        """Numbers of all CTID.conf files, ascending."""
        names = (path.stem for path in self.conf_dir.iterdir() if path.suffix == ".conf")
        return sorted(int(name) for name in names if name.isdigit())

    def private_ids(self) -> list[int]:
        """Numbers of all private areas, ascending."""
        return sorted(int(path.name) for path in self.private_dir.iterdir() if path.name.isdigit())


def machine_files(flavour: Flavour) -> dict[str, str]:
    """What a node's files tell of its kernel, processor, memory and service."""
    processor = f"model name\t: simulated\nflags\t\t: {flavour.cpu_flags}\n\n"
    files = {
        "proc/meminfo": _meminfo(flavour.memory_mib, flavour.memory_free_mib),
        "proc/cpuinfo": "".join(f"processor\t: {n}\n{processor}" for n in range(flavour.cpus)),
        "proc/sys/kernel/osrelease": f"{flavour.kernel}\n",
        "proc/version": f"Linux version {flavour.kernel} (simulated node)\n",
        VZ_SERVICE: _service(running=flavour.vz_running),
    }
    there = {
        "proc/net/if_inet6": flavour.ipv6,
        "proc/vz/version": flavour.openvz,
        "proc/vz/vswap": flavour.vswap,
        "proc/vz/ploop_minor": flavour.openvz and flavour.ploop,
        "proc/cpt": flavour.openvz and flavour.checkpointing,
        "proc/rst": flavour.openvz and flavour.checkpointing,
    }
    return {**files, **{name: "" for name, is_there in there.items() if is_there}}


MACHINE_FILES = ("proc/net/if_inet6", "proc/vz/version", "proc/vz/vswap", "proc/vz/ploop_minor", "proc/cpt", "proc/rst")


def _service(*, running: bool) -> str:
    """/etc/init.d/vz, of which only `status` is there."""
    said, code = ("running", 0) if running else ("stopped", 3)
    dots = "..." if running else "."
    return f'#!/bin/sh\n[ "${{1-}}" = status ] || exit 1\necho "OpenVZ is {said}{dots}"\nexit {code}\n'


def _meminfo(memory_mib: int, free_mib: int | None) -> str:
    total = memory_mib * 1024
    available = total * 7 // 8 if free_mib is None else free_mib * 1024
    sizes = {"MemTotal": total, "MemFree": min(total * 3 // 4, available), "MemAvailable": available, "SwapTotal": total, "SwapFree": total}
    return "".join(f"{name + ':':<15}{kib:>9} kB\n" for name, kib in sizes.items())
