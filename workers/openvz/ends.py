"""A container that is on its way, as both nodes show it at one moment; reads what `vzq-mv look` prints (ops/docs/node-side.md)."""

from dataclasses import dataclass, replace
from typing import Literal

from models.errors import Retryable
from models.whitelist import JOB_ID
from workers.commands import Finished
from workers.openvz.driver import Sight
from workers.openvz.sights import Answer, not_understood, read_sight

Pulse = Literal["down", "alive", "frozen", "stray"]
_PULSES: dict[str, Pulse] = {"down": "down", "alive": "alive", "frozen": "frozen", "stray": "stray"}


@dataclass(frozen=True)
class End:
    """One of the two nodes: the container there, and what the move has there."""

    node: str
    sight: Sight
    pulse: Pulse  # alive: commands inside run; frozen: stopped by a checkpoint, or restored and not let go yet; stray: runs, without a conf
    dump: bool  # vzmigrate's own dump of it is there
    dump_file: str
    came: bool  # nothing of this id was here when this job came: what is here now, the move brought
    rebooted: bool  # since then
    trusted: bool  # its line is in authorized_keys
    address: str  # this node's, as the other one sees it
    folder: str  # where the move keeps its key
    key: str  # the move's public key
    suspended_s: float | None  # vzmigrate's own figure
    left: bool  # processes of a vzmigrate that was killed, which still have our key
    busy: tuple[str, ...]  # what else works on the container: vzctl, vzmigrate, rsync

    @property
    def empty(self) -> bool:
        """No copy is here, not half of one either; what was put away to be removed does not count."""
        return self.sight.conf is None and self.sight.private == "none" and not self.sight.running

    @property
    def torn(self) -> bool:
        """A conf that came here in part: vzmigrate sends it first, through `cat`, and was killed or cut off meanwhile (facts §5.2)."""
        s = self.sight
        return self.came and not JOB_ID.fullmatch(s.marker or "") and s.private == "none" and not s.half_made

    @property
    def stray(self) -> bool:
        """It runs and belongs to nothing: vzmigrate put away conf or area of a copy that it had not ended, or that was only just coming up."""
        return self.sight.running and (self.sight.conf is None or self.sight.private == "none")

    @property
    def at_work(self) -> str | None:
        """Who works on the container here."""
        return self.sight.locked_by or (f"pid {self.busy[0]}" if self.busy else None)


@dataclass(frozen=True)
class MoveSight:
    """Both ends."""

    source: End
    target: End

    @property
    def ctid(self) -> int:
        """The container."""
        return self.source.sight.ctid

    @property
    def locked_by(self) -> str | None:
        """Whoever works on either copy."""
        for end in (self.source, self.target):
            if end.at_work is not None:
                return f"{end.at_work} on {end.node}"
        return None


def read_end(node: str, answer: Finished) -> End:
    """What `vzq-mv look` saw of container and move; raises Retryable where a copy runs and cannot be asked how it is."""
    container, head, move = answer.out.partition("\nvzq-mv1 look ")  # a line of the conf begins with a bar and cannot pass for this one
    sight = read_sight(replace(answer, out=container))
    said = Answer("vzq-mv1 look", replace(answer, out=head.strip("\n") + move))
    pulse = _PULSES.get(said.text("pulse"))
    if pulse is None:
        if said.text("pulse") == "silent":
            raise Retryable(
                f"container {sight.ctid} on {node} runs and executes nothing (vzctl exec2 ends with {said.text('pulse_rc')}),"
                " so nobody knows how far its move is; vzq looks again"
            )
        raise not_understood("vzq-mv look", answer)
    if (pulse == "down") is sight.running:
        raise Retryable(f"container {sight.ctid} on {node} started or stopped while it was looked at; vzq looks again")
    suspended = said.text("suspended_s")
    return End(
        node=node,
        sight=sight,
        pulse=pulse,
        dump=said.flag("dump"),
        dump_file=said.text("dump_file"),
        came=said.flag("came"),
        rebooted=said.flag("came") and said.text("came_boot") != said.text("boot_id"),
        trusted=said.flag("trusted"),
        address=said.text("address"),
        folder=said.text("folder"),
        key=said.text("key"),
        suspended_s=float(suspended) if suspended.replace(".", "", 1).isdigit() else None,
        left=said.flag("left"),
        busy=tuple(said.all("busy")),
    )
