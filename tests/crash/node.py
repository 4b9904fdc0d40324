"""A node in this process: vzq-run's ledger, fence, seal and attach (ops/docs/node-side.md), and commands that take time.

It keeps watch as well: whatever must never happen on a node is written into `violations`, whoever let it happen.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tests.crash.container import Container, sight
from tests.crash.copies import Copies
from tests.crash.vzctl import Doing, vzctl
from tests.crash.vzmigrate import Flight, vzmigrate
from tests.crash.vzq_ct import vzq_ct
from tests.crash.vzq_mv import MoveFiles, asked, vzq_mv

Key = tuple[str, str, str, str, int]  # ledger, job, step, direction, try
Program = Callable[["StandInNode", Container, "Run", list[str], bytes], Doing]
CODES: dict[str, dict[str, int]] = {  # an exit code of each class, by what gives it
    "vzctl": {"permanent": 91, "retryable": 6, "node-fault": 46, "locked": 9, "unexpected": 200},
    "exec2": {"permanent": 1, "retryable": 6, "node-fault": 5, "locked": 7, "unexpected": 200},
    "script": {"permanent": 75, "retryable": 75, "node-fault": 75, "locked": 75, "unexpected": 200},  # 75 is all that exit_codes knows of one
    "vzq-ct": {"permanent": 66, "retryable": 75, "node-fault": 74, "locked": 9, "unexpected": 99},
    "vzq-mv": {"permanent": 66, "retryable": 75, "node-fault": 74, "locked": 9, "unexpected": 99},
    "vzmigrate": {"permanent": 12, "retryable": 6, "node-fault": 127, "locked": 20, "unexpected": 99},
}
PROGRAMS: dict[str, Program] = {"vzctl": vzctl, "vzq-ct": vzq_ct, "vzq-mv": vzq_mv, "vzmigrate": vzmigrate}  # what vzq-run may start


def _meant(argv: list[str]) -> list[str]:
    """A script comes in a shell that bounds its output; what counts here is the vzctl in it."""
    return ["vzctl", "exec2", argv[4], "-"] if argv[0] == "sh" else argv


@dataclass
class Run:
    """One command that vzq-run started, or sealed."""

    key: Key
    token: int
    argv: list[str]
    task: "asyncio.Task[None] | None" = None
    boot: int = 0
    answer: tuple[int, str, str] | None = None
    end: str = ""  # done, killed, vanished, void
    kept: bool = True  # its keeper lives and will write the exit code
    said: list[str] = field(default_factory=list)  # its output so far, where somebody listens
    ssh_gone: bool = False  # the ssh died through which it waits for a command on another node

    @property
    def live(self) -> bool:
        return not self.end

    @property
    def name(self) -> str:
        ledger, job, step, direction, attempt = self.key
        return f"{step} ({direction}, try {attempt}) of {job[-4:]} on {ledger}"


@dataclass
class Ledger:
    """What the node remembers of one container."""

    highest: int = 0
    seen: int = 0  # the watch's own: highest token that ever came to it


@dataclass
class Strike:
    """What befalls the next command that is started: killed after a while, or ended with a code by itself."""

    after_s: float | None = None
    befalls: str = "kill"  # what comes so long after its start: kill, reboot (its node), reboot-peer, reboot-both, lose-ssh
    code: str | None = None  # its class
    slow_s: float | None = None
    keeper: bool | None = None  # its keeper dies, the command goes on
    runner: str | None = None  # vzq-run itself dies: before it starts anything ("early") or before it answers ("late")
    only: str = ""  # this step
    times: int = 1


class RunnerDied(Exception):
    """vzq-run was killed: no answer and no exit code come from it."""


class StandInNode:
    """One node; every answer is what the real programs would print."""

    def __init__(self, name: str, *, templates: tuple[str, ...] = ("busybox",), on_start: Callable[[Run], None] = lambda _run: None) -> None:
        self.name = name
        self.templates = templates
        self.peers: Mapping[str, StandInNode] = {name: self}  # all nodes of the house, for commands that reach another one
        self.containers: dict[int, Container] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.runs: dict[Key, Run] = {}
        self.violations: list[str] = []
        self.story: list[str] = []
        self.strikes: list[Strike] = []
        self.boot = 1
        self.openvz = True  # else a dump ends what it has dumped
        self.copies = Copies(self.violations)
        self.moves: dict[str, MoveFiles] = {}
        self.trusted: set[str] = set()  # moves whose line is in authorized_keys
        self.flights: dict[str, Flight] = {}  # what a move's vzmigrate has begun on the other node
        self.suspended: dict[str, str] = {}
        self._on_start = on_start

    # -- what broken builds of the node's side leave out -------------------------------------------------------

    def refuses(self, ledger: Ledger, token: int) -> bool:
        return token < ledger.highest

    def seal(self, run: Run) -> None:
        self.runs[run.key] = run
        run.end = "void"

    # -- vzq-run ------------------------------------------------------------------------------------------------

    async def vzq_run(self, words: list[str], stdin: bytes) -> bytes:
        verb, key, token = words[0], words[1], int(words[2])
        dies = self._struck("runner", words[4] if len(words) > 4 else "")
        if dies:
            self._spend(dies)
        ledger = self.ledgers.setdefault(key, Ledger())
        if self.refuses(ledger, token):
            return f"vzq1 refused highest={ledger.highest}\n".encode()
        self._raise(ledger, token, verb)
        if dies and dies.runner == "early":
            raise RunnerDied
        if verb == "fence":
            return self._ledger(key, words[3])
        run = self._found(verb, key, token, words, stdin)
        if dies:
            raise RunnerDied
        if verb == "cancel" and run.task and run.live:
            self._kill(run, "killed")
        elif run.task and run.live:
            await asyncio.wait({run.task}, timeout=float(words[7]))
        return self._said(run)

    def _raise(self, ledger: Ledger, token: int, verb: str) -> None:
        ledger.highest = max(ledger.highest, token)
        if token < ledger.seen:
            self.violations.append(f"{self.name}: {verb} was accepted under token {token}, but {ledger.seen} had come before")
        ledger.seen = max(ledger.seen, token)

    def _found(self, verb: str, key: str, token: int, words: list[str], stdin: bytes) -> Run:
        """The run that is asked for: it was there, is started, or never will be."""
        name: Key = (key, words[3], words[4], words[5], int(words[6]))
        run = self.runs.get(name)
        if verb == "begin" and run is None:
            if len(stdin) != int(words[8]):
                raise AssertionError("input is not as long as announced")
            run = self._start(Run(name, token, _meant(words[10:]), boot=self.boot), stdin)
        elif run is None:
            self.seal(run := Run(name, 0, []))
        return run

    def _start(self, run: Run, stdin: bytes) -> Run:
        moving = [other.name for other in self.runs.values() if other.live and other.key[0] == run.key[0]]
        if moving:
            self.violations.append(f"{self.name}: {run.name} was started while {moving} still moved")
        self.runs[run.key] = run
        self._on_start(run)
        container = self.of(int(run.key[0]))
        container.history.append(run.argv[1])
        run.task = asyncio.create_task(self._live(run, self._doing(run, container, stdin)))
        strike = self._struck("keeper", run.key[2])
        if strike:
            self._spend(strike)
            run.kept = False
        strike = self._struck("after_s", run.key[2])
        if strike:
            self._spend(strike)
            asyncio.get_running_loop().call_later(strike.after_s or 0.0, self._befall, strike.befalls, run)
        return run

    def _befall(self, what: str, run: Run) -> None:
        struck = {
            "reboot": [self],
            "reboot-peer": [peer for peer in self.peers.values() if peer is not self],
            "reboot-both": list(self.peers.values()),
        }
        for node in struck.get(what, []):
            node.reboot()
        if what == "lose-ssh" and run.live:
            run.ssh_gone = True
        if what == "kill" and run.live:
            self._kill(run, "vanished")

    def _struck(self, how: str, step: str) -> Strike | None:
        """The first strike of this sort that is meant for this step."""
        return next((strike for strike in self.strikes if strike.only in ("", step) and getattr(strike, how) is not None), None)

    def _doing(self, run: Run, container: Container, stdin: bytes) -> Doing:
        strike = self._struck("code", run.key[2])
        if strike:
            self._spend(strike)
            said_by = "script" if run.key[2] == "script" else "exec2" if run.argv[1] == "exec2" else run.argv[0]
            return _fails(CODES[said_by][strike.code or "retryable"])
        program, *words = run.argv
        doing = PROGRAMS[program](self, container, run, words, stdin)
        strike = self._struck("slow_s", run.key[2])
        if strike:
            self._spend(strike)
            return _slowly(doing, strike.slow_s or 0.0)
        return doing

    def _spend(self, strike: Strike) -> None:
        strike.times -= 1
        if not strike.times:
            self.strikes.remove(strike)

    async def _live(self, run: Run, doing: Doing) -> None:
        try:
            while True:
                await asyncio.sleep(next(doing))
        except StopIteration as ended:
            run.answer, run.end = (ended.value, "done") if run.kept else (None, "vanished")
            if self.of(int(run.key[0])).lock is run:
                self.of(int(run.key[0])).lock = None
        self.story.append(f"{run.name}: {run.answer[0] if run.answer else run.end}")

    def _kill(self, run: Run, word: str) -> None:
        container = self.of(int(run.key[0]))
        run.end = word
        if run.task:
            run.task.cancel()
        if container.lock is run:
            container.lock, container.stale_lock = None, True
        self.story.append(f"{run.name}: {word}")

    def _said(self, run: Run) -> bytes:
        if run.live:
            return b"vzq1 running\n"
        if run.end == "vanished":
            return f"vzq1 vanished boot={'same' if run.boot == self.boot else 'other'}\n".encode()
        if run.answer is None:
            return f"vzq1 {run.end}\n".encode()
        code, out, err = run.answer
        return f"vzq1 done rc={code} seconds=1.00 out={len(out)} err={len(err)} out_cut=0 err_cut=0\n{out}{err}".encode()

    def _ledger(self, key: str, job: str) -> bytes:
        lines = []
        for run in self.runs.values():
            if run.key[:2] == (key, job):
                _, _, step, direction, attempt = run.key
                more = f" rc={run.answer[0]}" if run.answer else ""
                lines.append(f"{job} {step} {direction} {attempt} {run.token} {run.end or 'running'}{more}\n")
        return f"vzq1 ledger highest={self.ledgers[key].highest} runs={len(lines)}\n{''.join(lines)}".encode()

    # -- the rest -----------------------------------------------------------------------------------------------

    def of(self, ctid: int) -> Container:
        if ctid not in self.containers:
            self.containers[ctid] = Container(ctid, copies=self.copies)
            self.copies.everywhere.append(self.containers[ctid])
        return self.containers[ctid]

    def at_once(self, argv: Iterable[str], stdin: bytes = b"") -> None:
        """As somebody did it long ago, to furnish a case with; raises when it does not work."""
        program, *words = argv
        run = Run(("", "", "", "", 0), 0, [])
        doing = PROGRAMS[program](self, self.of(int(words[1])), run, words, stdin)
        try:
            while True:
                next(doing)
        except StopIteration as ended:
            if ended.value[0]:
                raise AssertionError(f"{words}: {ended.value}") from None

    def directly(self, argv: list[str]) -> tuple[int, str, str]:
        """What is run without vzq-run: it changes nothing."""
        if argv[0] == "vzq-mv":
            return 0, asked(self, argv[1:]), ""
        if argv[:2] == ["vzq-ct", "facts"]:
            return 0, FACTS, ""
        if argv[:2] == ["vzq-ct", "survey"]:
            return 0, "vzq-ct1 survey\nend\n", ""
        container = self.of(int(argv[2]))
        if argv[:2] == ["vzq-ct", "look"]:
            return 0, sight(container, f"boot-{self.boot}"), ""
        if argv[:2] == ["vzq-ct", "usage"]:
            return 0, f"vzq-ct1 usage ctid={container.ctid}\nused_kib=512\nhow=du\nend\n", ""
        if argv[:2] == ["vzctl", "exec2"]:
            return (0, "vzq-alive\n", "") if container.running else (31, "", "Container is not running")
        raise AssertionError(f"{argv} was run past the ledger")

    def reboot(self) -> None:
        self.boot += 1
        self.story.append(f"reboot of {self.name}")
        for flight in self.flights.values():  # what it had sent out arrives before it is up again, or never
            if self.boot % 2:
                flight.land()
            flight.until, flight.code = 0.0, 255 if flight.code is None else flight.code
        for run in list(self.runs.values()):
            if run.live:
                self._kill(run, "vanished")
        for container in self.containers.values():
            container.halts()
            container.mounted = False
            conf = container.conf or {}
            if conf.get("ONBOOT") == "yes" and conf.get("DISABLED") != "yes" and container.private == "full" and not container.half_made:
                container.boots()

    def stranger(self, ctid: int) -> bool:
        """An administrator makes a container by hand, if the id is free."""
        container = self.of(ctid)
        if not container.nothing or container.lock is not None:
            return False
        self.at_once(["vzctl", "create", str(ctid), "--ostemplate", self.templates[0]])
        container.conf, container.strangers_from = dict(STRANGERS), len(container.history)
        container.boots()
        self.story.append(f"a stranger takes {ctid}")
        return True


FACTS = """\
vzq-ct1 facts
dialect=vzctl
vzctl=4.11
osrelease=2.6.32-042stab145.3
arch=x86_64
openvz=yes
vswap=yes
ploop=no
checkpointing=yes
cpus=8
memory_kib=67108864
disk_kib=999999999
disk_free_kib=999999999
ssh_mux=yes
end
"""
STRANGERS = {"HOSTNAME": "theirs", "ONBOOT": "yes"}


def _fails(code: int) -> Doing:
    yield 0.1
    return code, "", "as the test wished"


def _slowly(doing: Doing, seconds: float) -> Doing:
    try:
        while True:
            yield next(doing)
            yield seconds / 3
    except StopIteration as ended:
        return ended.value
