"""Which recordings of suspended and moved containers are replayed on two nodes, from what beginning, and what is left out and why."""

from dataclasses import dataclass, field

from tests.simnode.contract import DEB301, PS, PS_LINES, made

TICK = "vzctl exec2 {} 'echo 5 > var/run/tick'"
GAMMA = "vzctl set 207 --name gamma --hostname ct207.lab --ipadd 10.99.0.107 --save"
RUNS = [*made(207), GAMMA, "vzctl start 207", TICK.format(207)]
WAS_HERE = ["cp $VZQ_NODE_ROOT/etc/vz/conf/207.conf $VZQ_NODE_ROOT/etc/vz/conf/207.conf.destroyed"]
GONE = [*made(207), "vzctl destroy 207"]  # leaves 207.conf.destroyed
ALPHA = [*made(205), "vzctl set 205 --name alpha --save"]
FROM_FIRST = (
    "cp $VZQ_NODE_ROOT/etc/vz/conf/ve-vswap-256m.conf-sample $VZQ_NODE_ROOT/etc/vz/conf/221.conf; "
    'printf \'VE_LAYOUT="simfs"\\nX_VZQ_JOB="0192-job"\\n\' >> $VZQ_NODE_ROOT/etc/vz/conf/221.conf; '
    "vzctl create 221 --ostemplate busybox-mini-x86_64 --layout simfs && "
    "vzctl set 221 --hostname h221 --ipadd 10.99.0.121 --description 'job 0192' --onboot yes --save && vzctl start 221"
)
INSIDE = {"cat /var/run/tick": "cat var/run/tick"}
TICKS = r"^\d+$"
TICKING = "the recorded container counts in /var/run/tick; here a file stands still, and a container's files are under its working folder"

Told = tuple[int, str, dict[str, object]]  # before the command of that number (from 1), to that node, this request


@dataclass(frozen=True)
class Moves:
    """One transcript; `{nodeB}` in what is swapped in is that node's sandbox."""

    name: str
    a: list[str] = field(default_factory=list)  # bash lines run first on nodeA, then those on nodeB; all must succeed
    b: list[str] = field(default_factory=list)
    pace: float = 0.1
    skip: dict[int, str] = field(default_factory=dict)
    swap: dict[str, str] = field(default_factory=dict)
    without: str = ""
    why: str = ""
    told: list[Told] = field(default_factory=list)


def fault(number: int, node: str, **details: object) -> Told:
    return number, node, {"op": "fault", **details}


def disk(number: int, node: str, free_kib: int | None) -> Told:
    return number, node, {"op": "disk", "free_kib": free_kib}


MOVES = [
    Moves("migrate-auth-fail", ALPHA),
    Moves("migrate-back-after-r-no", [*RUNS, *WAS_HERE, "vzmigrate --online -r no 10.99.0.12 207"]),
    Moves("migrate-bad-usage", ALPHA),
    Moves("migrate-by-name-dry-run", b=RUNS),
    Moves(
        "migrate-client-killed-offline",
        made(205),
        RUNS,
        pace=0.5,
        without=rf"{PS_LINES}|^Stopping container \.\.\.$",
        why=f"the child's own line came too late to be recorded; {PS}",
    ),
    Moves(
        "migrate-client-killed-online-mid",
        RUNS,
        pace=0.2,
        swap=INSIDE,
        without=f"{PS_LINES}|{TICKS}",
        why=f"{TICKING}; {PS}",
        told=[fault(1, "nodeA", command="vzmigrate", action="slow", phase="second-rsync", seconds=0.3)],
    ),
    Moves(
        "migrate-client-killed-online",
        made(205),
        RUNS,
        pace=0.3,
        without=PS_LINES,
        why=PS,
        told=[fault(1, "nodeB", command="destroy", action="slow", seconds=1.0)],
    ),
    Moves(
        "migrate-dst-disk-full",
        [*ALPHA, *GONE],
        RUNS,
        told=[disk(2, "nodeA", 0), disk(4, "nodeA", 500), disk(7, "nodeA", 500)],
        skip=dict.fromkeys((1, 3), "the disk is filled by `ctl disk` instead of dd"),
    ),
    Moves("migrate-dst-exists", made(205)),
    Moves("migrate-dst-start-fails", GONE, RUNS),
    Moves(
        "migrate-ip-in-use",
        b=RUNS,
        told=[(1, "nodeA", {"op": "machine", "address": "10.99.0.107"})],
    ),
    Moves(
        "migrate-killed",
        [DEB301],
        RUNS,
        pace=0.3,
        swap={"sleep 2.8": "while ! ls {nodeB}vz/private/301/* >/dev/null 2>&1; do sleep 0.05; done"},
        without=rf"{PS_LINES}|^\d+$",
        why=f"the kill falls into the first rsync however fast the machine is; the pid in the lock file; {PS}",
    ),
    Moves("migrate-missing-ct"),
    Moves("migrate-offline-quiet", b=RUNS),
    Moves("migrate-offline-r-no", [*RUNS, *WAS_HERE]),
    Moves("migrate-offline-t", RUNS),
    Moves("migrate-offline-v", RUNS),
    Moves("migrate-online-200MB", b=[DEB301, "vzctl start 301"], skip={2: "asks for the recorded container's own processes"}),
    Moves("migrate-online-200MB-mux", [DEB301, "vzctl start 301"]),
    Moves("migrate-online-dst-restore-fails", GONE, RUNS, swap=INSIDE, without=TICKS, why=TICKING),
    Moves("migrate-online-exec-open", b=RUNS, pace=0.8),
    Moves(
        "migrate-online-inflight-connection-fails",
        b=RUNS,
        told=[fault(1, "nodeB", command="chkpnt", phase="dump", action="exit", code=16)],
    ),
    Moves("migrate-online-mux", RUNS),
    Moves(
        "migrate-online-no-ip",
        [*made(212), "vzctl start 212", TICK.format(212)],
        swap=INSIDE,
        without=TICKS,
        why=TICKING,
    ),
    Moves("migrate-online-quiet", RUNS),
    Moves("migrate-online-r-no", [*ALPHA, DEB301, *RUNS, *WAS_HERE]),
    Moves("migrate-online-stopped", made(205)),
    Moves("migrate-online-t", b=RUNS),
    Moves("migrate-online-tcp-connection", RUNS),
    Moves("migrate-online-tcp-connection-1", b=RUNS),
    Moves("migrate-online-v", b=RUNS, swap=INSIDE, without=TICKS, why=TICKING),
    Moves("migrate-r-no-then-clean", [FROM_FIRST]),
    Moves("migrate-stopped", ALPHA),
    Moves(
        "migrate-suspended",
        ["ln -s /etc/vz/conf/207.conf $VZQ_NODE_ROOT/etc/vz/names/gamma"],
        RUNS,
        swap=INSIDE,
        without=TICKS,
        why=TICKING,
    ),
    Moves("migrate-unreachable", made(205)),
    Moves("resume-ok", b=[*RUNS, "vzctl suspend 207"], swap=INSIDE, without=TICKS, why=TICKING),
    Moves("resume-running", b=RUNS),
    Moves("suspend-ok", b=RUNS),
    Moves("suspend-suspended", b=[*RUNS, "vzctl suspend 207"]),
]
