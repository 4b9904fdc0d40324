"""Run state of a container and the kind of machine a node is: plain values."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Flavour:
    """What kind of machine the node is; the default is the recorded ones (facts §11)."""

    memory_mib: int = 16_384
    memory_free_mib: int | None = None  # None: most of it
    cpus: int = 8
    disk_kib: int = 200 << 20
    vswap: bool = False  # a /proc/vz/vswap file; the recorded nodes run no OpenVZ kernel
    boot_s: float = 20.0  # of the node itself, at speed 1
    answer_delay_s: float = 0.0  # from "addresses up" to the first answer, at speed 1
    kernel: str = "6.1.0-13-amd64"
    openvz: bool = False  # an OpenVZ kernel: /proc/vz, /proc/cpt and /proc/rst instead of CRIU
    checkpointing: bool = True  # the modules, or criu, are there
    ploop: bool = False  # /proc/vz/ploop_minor; with openvz, containers may be ploop and have snapshots
    ssh_mux: bool = True  # vzmigrate knows --ssh-mux; that of vzctl 3.0 does not
    ipv6: bool = True  # the module is loaded
    vz_running: bool = True  # what /etc/init.d/vz status says
    cpt_version: int = 6  # of an OpenVZ kernel's images (vzcptcheck version)
    cpu_caps: int = 0x7F  # bits, one a feature (vzcptcheck caps)
    cpu_flags: str = "fpu sse sse2 ssse3 sse4_1 sse4_2 avx"
    inodes: int = 13_000_000
    clock_offset_s: float = 0.0  # its clock is so much ahead


@dataclass
class Load:
    """What a container makes of memory and disk while it runs."""

    rss_kib: int = 4096  # goes into a dump
    dirty_kib_s: float = 0.0  # written to its disk each second, at speed 1


@dataclass
class Running:
    """Run state of one container; what is not in the table is down and unmounted."""

    mounted: bool = False
    running: bool = False
    starting: bool = False  # the command that starts it is not done: it dies with that
    frozen: bool = False
    hostname: str = ""
    addresses: list[str] = field(default_factory=list)  # up now, which need not be what the file says
    since: float = 0.0
    answers: int = 0  # given on the container's port
