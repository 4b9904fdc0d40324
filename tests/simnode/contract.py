"""Which recordings are replayed, from what beginning, and what of them is left out and why."""

from dataclasses import dataclass, field

BUSYBOX = "vzctl create {} --ostemplate busybox-mini-x86_64 --config vswap-256m"
DEBIAN = "vzctl create {} --ostemplate debian-12-x86_64-minbase --config vswap-256m"


def made(*ctids: int) -> list[str]:
    return [BUSYBOX.format(ctid) for ctid in ctids]


def running(*ctids: int) -> list[str]:
    return [line for ctid in ctids for line in (BUSYBOX.format(ctid), f"vzctl start {ctid}")]


CT207 = (
    "vzctl set 207 --ipadd 10.99.0.107 --hostname ct207.lab --nameserver 10.99.0.1 --searchdomain lab --ram 128M --swap 64M "
    "--diskspace 1G:1.1G --cpus 1 --cpuunits 500 --onboot yes --name gamma --description 'third one' --save"
)
BAD207 = "vzctl set 207 --hostname 'bad name;rm' --save"
ADDRESSED = [*made(207), "vzctl set 207 --ipadd 10.99.0.107 --save", "vzctl start 207"]
DEB301 = "vzctl create 301 --ostemplate debian-12-x86_64-minbase --config vswap-256m --hostname deb301.lab --ipadd 10.99.0.131"
BROKEN208 = (  # a line break in a value breaks the file, here as a later save left it
    "vzctl set 208 --description 'plain\nline2' --save; sed -i 's/^DESCRIPTION=\"plain$/&\"/' $VZQ_NODE_ROOT/etc/vz/conf/208.conf"
)
FLEET = [  # what the listings show
    *running(201, 205),
    "vzctl set 205 --name alpha --save",
    *made(207, 208),
    CT207,
    "vzctl start 207",
    "vzctl set 207 --ram 192M --cpus 2 --description changed --save",
    BAD207,
    DEB301,
]
PS_LINES = r"^\S+ +\d+ +\d+ +\d+ \S+ \S+ +\S+ |^PID   USER|^ *\d+ root  "
PS = "`ps` of the machine shows the thin client by its interpreter; `ps` in a container has no busybox services"


@dataclass(frozen=True)
class Replay:
    """One transcript: its beginning, and each departure from the recording with its reason."""

    name: str
    before: list[str] = field(default_factory=list)  # bash lines run on the node first, all of which must succeed
    pace: float = 0.1  # of the node and of the pauses in the commands: 1 is as recorded
    stdin: bytes = b""  # the recording does not show it
    skip: dict[int, str] = field(default_factory=dict)  # number of the command (from 1) → why it is not replayed
    swap: dict[str, str] = field(default_factory=dict)  # part of a command → what is run instead
    without: str = ""  # lines that match are not compared
    why: str = ""  # the reason of `swap` and `without`
    told: list[dict[str, object]] = field(default_factory=list)  # what the simulator is told before the first command
    disk_kib: dict[int, int] = field(default_factory=dict)  # number of the command → so much is free on /vz then


MACHINE = "asks for programs and files of the recorded container; here these are the machine's"
REPLAYS = [
    Replay(
        "bad-config",
        [
            *running(205),
            *made(207),
            "vzctl set 207 --ipadd 10.99.0.107 --hostname full.lab --save",
            "vzctl start 207",
            "vzctl create 208 --ostemplate busybox-mini-x86_64",
            BROKEN208,
            DEB301,
            DEBIAN.format(403),
        ],
    ),
    Replay("create-bad-ctid"),
    Replay("create-bad-layout"),
    Replay("create-bad-option"),
    Replay("create-client-killed", pace=0.6, without=PS_LINES, why=PS),
    Replay("create-conf-first"),
    Replay("create-debian"),
    Replay("create-exists", made(201)),
    Replay("create-missing-config"),
    Replay("create-missing-template"),
    Replay("create-name-in-use", made(201)),
    Replay("create-ok"),
    Replay("create-sigkill", pace=0.5),
    Replay("create-sigterm", pace=0.5),
    Replay(
        "ct-crash",
        running(205),
        pace=0.3,
        swap={"nproc; kill -9 1; ": "echo 2; "},
        why="nproc counts the machine's processors, and its process 1 is none of ours to kill",
    ),
    Replay(
        "debian-start-exec-stop",
        [DEB301, "vzctl start 301"],
        skip={3: MACHINE, 4: MACHINE},
    ),
    Replay("destroy-missing"),
    Replay("destroy-ok", [*made(201), "vzctl mount 201"]),
    Replay("destroy-running", running(201)),
    Replay(
        "disk-full-create",
        ["cd $VZQ_NODE_ROOT/vz/private && mkdir 205 207 208 301 402.tmp 403"],
        skip={1: "the disk is filled by `ctl disk` instead of fallocate"},
        disk_kib={2: 39_044, 4: 176},
        swap={"fallocate -l $(( $(df --output=avail -B1 /vz | tail -1) - 200000 )) /vz/fill2; df /vz; ": ""},
        without="^(Filesystem|/dev/loop0)",
        why="the disk is filled by `ctl disk` instead of fallocate",
    ),
    Replay("exec-big-output", running(207)),
    Replay("exec-client-killed", running(207), pace=0.2, without=PS_LINES, why=PS),
    Replay("exec-nonzero", running(207)),
    Replay("exec-not-running", made(208)),
    Replay(
        "exec-ok",
        running(207),
        without=r"^(PATH|PWD)=|^/$|^/vz/private/207$|^_=",
        why="a container has no root of its own here: its `/` is the private area, its PATH begins with the fakes",
    ),
    Replay("exec-quoting", running(207)),
    Replay("exec-stdin-data", running(207), stdin=b"data line\n"),
    Replay("exec-stdin-script", [*running(207), BAD207], stdin=b"echo from stdin; hostname; exit 5\n"),
    Replay("exec2-killed", running(207)),
    Replay("exec2-nonzero", running(207)),
    Replay("exec2-notfound", running(207)),
    Replay("init-missing"),
    Replay("lock-two-at-once", ADDRESSED, pace=0.5, without=r"^\d+$", why="the pid in the lock file"),
    Replay("mount-running", made(201)),
    Replay("mount-umount", running(201)),
    Replay("password-over-stdin", [DEB301, "vzctl start 301", *running(207)]),
    Replay("restart", made(201)),
    Replay("runscript", [*running(207), BAD207, *made(208)]),
    Replay("set-bad-params", running(207)),
    Replay("set-ipadd-running", ADDRESSED),
    Replay(
        "set-name-utf8",
        [
            *made(201, 205, 207, 208),
            "vzctl set 205 --name alpha --save",
            "vzctl start 207",
            "vzctl set 207 --name old --save",
            DEB301,
            "ln -s /etc/vz/conf/207.conf $VZQ_NODE_ROOT/etc/vz/names/delta",
        ],
    ),
    Replay("set-running-nosave", [*running(207), "vzctl set 207 --hostname new207.lab --save"]),
    Replay(
        "set-running-save",
        running(207),
        swap={"cat /etc/hostname": "cat etc/hostname"},
        why="the container's files are under its working folder here",
    ),
    Replay("set-stopped-nosave"),
    Replay("set-stopped-save"),
    Replay("snapshot", [*made(207), "vzctl create 208 --ostemplate busybox-mini-x86_64", BROKEN208]),
    Replay("start-missing"),
    Replay("start-ok", made(205)),
    Replay("start-running", running(205)),
    Replay(
        "start-sigkill",
        [*ADDRESSED, DEBIAN.format(403)],
        pace=0.6,
        told=[
            {"op": "lock", "ctid": 403, "seconds": 1},
            {"op": "fault", "command": "start", "ctid": 207, "phase": "addresses", "action": "hang"},
        ],
        swap={"sleep 0.06": "sleep 1"},
        why="a thin client takes longer to start than vzctl; the kill still falls while the address is added",
    ),
    Replay("start-wait-hang", pace=0.2, without=PS_LINES, why=PS),
    Replay("start-wait-ok", made(201)),
    Replay("start-with-ip", [*made(207), "vzctl set 207 --ipadd 10.99.0.107 --save"]),
    Replay("status-all", [*made(207, 208), "vzctl set 207 --name gamma --save", "vzctl start 207"]),
    Replay("stop-client-killed", [DEBIAN.format(403)], pace=0.5),
    Replay("stop-fast", made(201)),
    Replay("stop-hangs"),
    Replay("stop-missing"),
    Replay("stop-ok", running(201)),
    Replay("stop-stopped", made(201)),
    Replay("vzctl-misc", made(201)),
    Replay("vzlist-H", FLEET),
    Replay("vzlist-all", FLEET),
    Replay("vzlist-empty"),
    Replay("vzlist-fields", [*FLEET, BROKEN208, "vzctl stop 201; vzctl destroy 201"]),
    Replay("vzlist-json", FLEET),
    Replay("vzlist-json-fields", FLEET),
    Replay("vzlist-json-unescaped", made(208)),
    Replay("vzlist-missing", made(208)),
    Replay("vzlist-running", FLEET),
]
NOT_REPLAYED = {
    "create-missing-template-slow-dns": "create-missing-template again, with the /proc/vz line of the early recordings and ten seconds of DNS",
    "enter-exec": "prints the banner of the recorded busybox shell",
    "enter-stdin": "prints the banner of the recorded busybox shell",
    "enter-tty": "prints the banner of the recorded busybox shell",
}
