"""Orders about nodes, and about what is found there."""

from typing import Literal

from pydantic import Field

from models.orders.asked import Asked
from models.whitelist import Address, CtId, HostName, JobId, Word


class ScanHostKey(Asked):
    """Ask a machine for its SSH host key, so that a person can compare it before it is pinned."""

    kind: Literal["scan-host-key"] = "scan-host-key"
    host: HostName | Address
    port: int = Field(22, strict=True, ge=1, le=65535)


class EnrolNode(Asked):
    """Take a machine into the fleet: pin its host key, install the node's side, learn its abilities."""

    kind: Literal["enrol-node"] = "enrol-node"
    node: Word
    host: HostName | Address
    port: int = Field(22, strict=True, ge=1, le=65535)
    user: Word = "root"
    fingerprint: str = Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$", description="The host key to pin; anything else is refused.")


class ObserveNode(Asked):
    """Look at a node again: abilities, free space, containers; sees to it that the node's side is up to date."""

    kind: Literal["observe-node"] = "observe-node"
    node: Word


class LookAtContainer(Asked):
    """Look at one container and at what was done to it on its node; changes nothing."""

    kind: Literal["look-at-container"] = "look-at-container"
    node: Word
    ctid: CtId


class RebootNode(Asked):
    """Reboot a drained node on which no container runs, and see that it is back, with its services and the kernel that is wanted."""

    kind: Literal["reboot-node"] = "reboot-node"
    node: Word
    kernel: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z0-9._+-]+$", description="What it must run afterwards; any if left out.")
    activate: bool = Field(False, strict=True, description="It takes work again as soon as it is back.")


class CheckQueue(Asked):
    """Go the whole way through the queue and do nothing: tells that service, Redis, database and a worker work together."""

    kind: Literal["check-queue"] = "check-queue"


class AdoptContainer(Asked):
    """Take a container that exists on a node into the fleet as it is."""

    kind: Literal["adopt-container"] = "adopt-container"
    node: Word
    ctid: CtId
    customer: Word | None = None


class ClearDebris(Asked):
    """Remove what a killed create left on a node; never a whole container."""

    kind: Literal["clear-debris"] = "clear-debris"
    node: Word
    ctid: CtId
    of: JobId | None = Field(None, description="The job whose mark it bears, as the finding says; only what bears none if left out.")


class QuarantineContainer(Asked):
    """On a node that was lost and is back: stop what was made anew elsewhere and keep it from starting; nothing is removed."""

    kind: Literal["quarantine-container"] = "quarantine-container"
    node: Word
    ctid: CtId
