"""Run state of a container and the kind of machine a node is: plain values."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Flavour:
    """What kind of machine the node is; the default is the recorded ones (facts §11)."""

    memory_mib: int = 16_384
    cpus: int = 8
    disk_kib: int = 200 << 20
    vswap: bool = False  # a /proc/vz/vswap file; the recorded nodes run no OpenVZ kernel
    boot_s: float = 20.0  # of the node itself, at speed 1
    answer_delay_s: float = 0.0  # from "addresses up" to the first answer, at speed 1


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
