"""What may be asked, told apart by `kind`. The API, order files and the command line all speak this schema."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationInfo, field_validator

from models.updates import Manner, Packages
from models.whitelist import Address, CtId, HostName, JobId, Password, Word
from models.windows import next_opening, open_until, read_window, read_zone

_password = TypeAdapter(Password)
Count = Annotated[int | None, Field(strict=True, ge=0, le=16)]
GENERATE = "Make up a root password; it is handed out once, when the job is done."


def _checked_password(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        try:
            _password.validate_python(secret.get_secret_value())
        except ValueError:  # pydantic's own text would repeat the password
            raise ValueError("not a password of 8 to 128 printable characters without blanks") from None
    return secret


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # an input may be a password

    site: Word | None = Field(None, description="Site whose nodes and workers serve it; the installation's own site if left out.")


class CreateContainer(_Order):
    """A new container: made, sized, addressed, started and answering."""

    kind: Literal["create-container"] = "create-container"
    plan: Word = Field(description="Name of the plan that says RAM, disk and CPU.")
    template: Word = Field(description="OS template as the nodes name it, e.g. debian-12-x86_64-minbase.")
    hostname: HostName
    pool: Word | None = Field(None, description="Address pool; any pool of the site with free addresses if left out.")
    pools: tuple[Word, ...] = Field((), max_length=16, description="Several pools instead of one: an address of each, or with ipv4 and ipv6 so many.")
    ipv4: Count = Field(None, description="How many IPv4 addresses. Neither this nor ipv6: one address of whatever family its pool has.")
    ipv6: Count = Field(
        None, validate_default=True, description="How many IPv6 addresses. All addresses are reserved together or the order is refused."
    )
    ctid: CtId | None = Field(None, description="Container id; the next free one if left out.")
    node: Word | None = Field(None, description="Node to use; chosen by free capacity if left out.")
    name: Word | None = Field(None, description="vzctl's own name of the container, unique in the installation.")
    customer: Word | None = Field(None, description="Whose container it is.")
    nameservers: tuple[Address, ...] = Field((), max_length=4, description="Resolvers; the pool's if left out.")
    searchdomain: HostName | None = None
    password: SecretStr | None = Field(None, description="Root password; encrypted at rest, handed to the node over stdin only.")
    generate_password: bool = Field(False, strict=True, description=GENERATE)
    wait_for_capacity: bool = Field(False, strict=True, description="Wait in the queue instead of being refused when no node has room.")
    labels: dict[Word, Word] = Field(default_factory=dict, max_length=16, description="Labels of the container, for selections.")
    require: dict[Word, Word] = Field(default_factory=dict, max_length=16, description="Labels the node must have, e.g. disk: ssd.")
    kernel: Word | None = Field(None, description="The node's kernel release must begin so, e.g. 2.6.32 or 2.6.32-042stab145.")
    dialect: Literal["vzctl", "prlctl"] | None = Field(
        None, description="Tools the node must have: vzctl (OpenVZ 6 and before) or prlctl (OpenVZ 7)."
    )
    spread: bool = Field(False, strict=True, description="On a node, and if possible a failure domain, without another container of the customer.")

    _one_line = field_validator("password")(_checked_password)

    @field_validator("pools")
    @classmethod
    def _one_of_both(cls, pools: tuple[str, ...], known: ValidationInfo) -> tuple[str, ...]:
        if pools and known.data.get("pool") is not None:
            raise ValueError("give either pool or pools")
        return pools

    @field_validator("ipv6")
    @classmethod
    def _at_least_one(cls, ipv6: int | None, known: ValidationInfo) -> int | None:
        ipv4 = known.data.get("ipv4")
        if (ipv4, ipv6) != (None, None) and not (ipv4 or ipv6):
            raise ValueError("a container has at least one address; leave out ipv4 and ipv6, or ask for one")
        return ipv6


class ScanHostKey(_Order):
    """Ask a machine for its SSH host key, so that a person can compare it before it is pinned."""

    kind: Literal["scan-host-key"] = "scan-host-key"
    host: HostName | Address
    port: int = Field(22, strict=True, ge=1, le=65535)


class EnrolNode(_Order):
    """Take a machine into the fleet: pin its host key, install the node's side, learn its abilities."""

    kind: Literal["enrol-node"] = "enrol-node"
    node: Word
    host: HostName | Address
    port: int = Field(22, strict=True, ge=1, le=65535)
    user: Word = "root"
    fingerprint: str = Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$", description="The host key to pin; anything else is refused.")


class ObserveNode(_Order):
    """Look at a node again: abilities, free space, containers; sees to it that the node's side is up to date."""

    kind: Literal["observe-node"] = "observe-node"
    node: Word


class ExecBatch(_Order):
    """Run one script in many containers of one node at once; how it ended in each is kept. It is never run a second time."""

    kind: Literal["exec-batch"] = "exec-batch"
    node: Word
    ctids: tuple[CtId, ...] = Field(min_length=1, max_length=2000, description="The containers; all on this node.")
    script: str = Field(min_length=1, max_length=131_072, description="What is run in each. It is kept with the job: put no secret into it.")
    interpreter: Literal["sh", "bash", "python3", "perl"] = Field("sh", description="What runs the script; it must be in the container.")
    arguments: tuple[Annotated[str, Field(max_length=4096)], ...] = Field((), max_length=64, description="$1, $2 … of the script.")
    timeout_s: int = Field(600, strict=True, ge=1, le=86_400, description="In each container; then it is ended there, outcome timed-out.")
    output_max: int = Field(65_536, strict=True, ge=1024, le=1_048_576, description="Bytes of output from each; who prints more is ended.")
    at_once: int = Field(8, strict=True, ge=1, le=64, description="So many of the node's containers at a time.")

    @field_validator("ctids")
    @classmethod
    def _each_once(cls, ctids: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(ctids)) < len(ctids):
            raise ValueError("a container stands twice in it")
        return ctids

    @field_validator("script")
    @classmethod
    def _no_nul(cls, script: str) -> str:
        if "\0" in script:
            raise ValueError("holds a NUL, which no shell can take")
        return script


class LookAtContainer(_Order):
    """Look at one container and at what was done to it on its node; changes nothing."""

    kind: Literal["look-at-container"] = "look-at-container"
    node: Word
    ctid: CtId


class RebootNode(_Order):
    """Reboot a drained node on which no container runs, and see that it is back, with its services and the kernel that is wanted."""

    kind: Literal["reboot-node"] = "reboot-node"
    node: Word
    kernel: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z0-9._+-]+$", description="What it must run afterwards; any if left out.")
    activate: bool = Field(False, strict=True, description="It takes work again as soon as it is back.")


class CheckQueue(_Order):
    """Go the whole way through the queue and do nothing: tells that service, Redis, database and a worker work together."""

    kind: Literal["check-queue"] = "check-queue"


class _Verb(_Order):
    ctid: CtId = Field(description="The container's id.")


class StartContainer(_Verb):
    """Start it; done when it executes commands and its address answers."""

    kind: Literal["start-container"] = "start-container"


class StopContainer(_Verb):
    """Stop it; it stays stopped over a reboot of the node."""

    kind: Literal["stop-container"] = "stop-container"
    fast: bool = Field(False, strict=True, description="Kill it instead of letting it shut down.")


class RestartContainer(_Verb):
    """Stop and start it."""

    kind: Literal["restart-container"] = "restart-container"


class SuspendContainer(_Verb):
    """Stop it so that neither its customer nor a reboot of the node starts it."""

    kind: Literal["suspend-container"] = "suspend-container"


class UnsuspendContainer(_Verb):
    """End a suspension: it runs again."""

    kind: Literal["unsuspend-container"] = "unsuspend-container"


class ResizeContainer(_Verb):
    """Another plan, up or down; live where the node can."""

    kind: Literal["resize-container"] = "resize-container"
    again: bool = Field(False, description="Instead of a plan: the sizes that it has in the books once more, where the node shows others.")
    plan: Word | None = Field(None, validate_default=True, description="Name of the plan; left out only with `again`.")

    @field_validator("plan")
    @classmethod
    def _one_of_both(cls, plan: str | None, known: ValidationInfo) -> str | None:
        if (plan is None) is not known.data.get("again", False):
            raise ValueError("give either a plan, or again: true to apply the sizes it has once more")
        return plan


class ReinstallContainer(_Verb):
    """A fresh system; id, names, addresses and ssh keys are kept, all other data is lost."""

    kind: Literal["reinstall-container"] = "reinstall-container"
    template: Word | None = Field(None, description="Another OS template; the same one if left out.")
    fresh_keys: bool = Field(False, strict=True, description="Go on where ssh keys cannot be kept, i.e. on ploop: the new system makes its own.")
    password: SecretStr | None = Field(None, description="New root password.")
    generate_password: bool = Field(False, strict=True, description=GENERATE)

    _one_line = field_validator("password")(_checked_password)


class SetPassword(_Verb):
    """Another root password, over stdin, from inside."""

    kind: Literal["set-password"] = "set-password"
    password: SecretStr | None = Field(None, description="The new one; or let one be generated.")
    generate_password: bool = Field(False, strict=True, description=GENERATE)

    _one_line = field_validator("password")(_checked_password)


class SetHostname(_Verb):
    """Another host name."""

    kind: Literal["set-hostname"] = "set-hostname"
    hostname: HostName


class SetNameservers(_Verb):
    """Other resolvers."""

    kind: Literal["set-nameservers"] = "set-nameservers"
    nameservers: tuple[Address, ...] = Field(min_length=1, max_length=4)
    searchdomain: HostName | None = None


class RenameContainer(_Verb):
    """Another name for vzctl, unique in the installation."""

    kind: Literal["rename-container"] = "rename-container"
    name: Word


class AddAddress(_Verb):
    """One more address."""

    kind: Literal["add-address"] = "add-address"
    pool: Word | None = Field(None, description="Pool to take it from; any pool of the site if left out.")
    family: Literal["ipv4", "ipv6"] | None = Field(None, description="Of which family; of whatever family the pool has if left out.")
    address: Address | None = Field(None, description="One that it has in the books already, where the node lacks it; a new one if left out.")


class RemoveAddress(_Verb):
    """Take an address away; the last one stays."""

    kind: Literal["remove-address"] = "remove-address"
    address: Address


class TerminateContainer(_Verb):
    """End it: stopped and kept for its grace, then purged."""

    kind: Literal["terminate-container"] = "terminate-container"
    grace_hours: float = Field(168, strict=True, ge=0, le=24 * 365, description="How long it can be revived; 0: purged at once.")


class ReviveContainer(_Verb):
    """Bring a terminated container back while its grace lasts."""

    kind: Literal["revive-container"] = "revive-container"


class PurgeContainer(_Verb):
    """Remove a terminated container for good and give its addresses back."""

    kind: Literal["purge-container"] = "purge-container"


class UpdateContainer(_Verb, Manner):
    """Upgrade its packages or run a script inside, and see that it is well afterwards."""

    kind: Literal["update-container"] = "update-container"


class CheckUpdate(_Verb):
    """Ask its package manager what would be upgraded; only its lists are read anew."""

    kind: Literal["check-update"] = "check-update"
    action: Packages = Packages()


class _Move(_Verb):
    to: Word | None = Field(None, description="Node to move it to; chosen by free capacity if left out.")
    mode: Literal["online", "offline", "online-else-offline"] = Field(
        "online", description="Whether its processes are kept (online) or it is stopped and started; or stopped only where they cannot be kept."
    )
    budget_s: float | None = Field(
        None, gt=0, le=86_400, description="Seconds that it may not answer; refused where earlier moves say that it will be longer."
    )
    over_budget: bool = Field(False, strict=True, description="Move it even if that breaks its budget of the move or the month; needs a reason.")


class MigrateContainer(_Move):
    """Move it to another node of its site; its source copy is kept until it answers from there."""

    kind: Literal["migrate-container"] = "migrate-container"
    window: str | None = Field(None, max_length=60, description="Begin only then, e.g. mon-fri 22:00-04:00; at once if left out.")
    zone: str = Field("UTC", max_length=60, description="Time zone of the window, e.g. Europe/Berlin.")
    keep_source: bool = Field(False, strict=True, description="Leave the copy on the old node, unable to start, instead of removing it.")

    @field_validator("window")
    @classmethod
    def _readable(cls, window: str | None) -> str | None:
        if window is not None:
            read_window(window)
        return window

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        read_zone(zone)
        return zone

    def opens_at(self, now: datetime) -> datetime | None:
        """When its window opens next; None: it is open, or there is none."""
        if self.window is None:
            return None
        windows, zone = [read_window(self.window)], read_zone(self.zone)
        return None if open_until(windows, zone, now) is not None else next_opening(windows, zone, now)


class CheckMigration(_Move):
    """Look whether it could be moved so, and name all that is in the way; changes nothing."""

    kind: Literal["check-migration"] = "check-migration"


class AdoptContainer(_Order):
    """Take a container that exists on a node into the fleet as it is."""

    kind: Literal["adopt-container"] = "adopt-container"
    node: Word
    ctid: CtId
    customer: Word | None = None


class ClearDebris(_Order):
    """Remove what a killed create left on a node; never a whole container."""

    kind: Literal["clear-debris"] = "clear-debris"
    node: Word
    ctid: CtId
    of: JobId | None = Field(None, description="The job whose mark it bears, as the finding says; only what bears none if left out.")


class QuarantineContainer(_Order):
    """On a node that was lost and is back: stop what was made anew elsewhere and keep it from starting; nothing is removed."""

    kind: Literal["quarantine-container"] = "quarantine-container"
    node: Word
    ctid: CtId


VERB_ORDERS = (
    StartContainer, StopContainer, RestartContainer, SuspendContainer, UnsuspendContainer, ResizeContainer, ReinstallContainer,
    SetPassword, SetHostname, SetNameservers, RenameContainer, AddAddress, RemoveAddress, TerminateContainer, ReviveContainer, PurgeContainer,
    UpdateContainer,
)  # fmt: skip
Verb = (
    StartContainer | StopContainer | RestartContainer | SuspendContainer | UnsuspendContainer | ResizeContainer | ReinstallContainer
    | SetPassword | SetHostname | SetNameservers | RenameContainer | AddAddress | RemoveAddress
    | TerminateContainer | ReviveContainer | PurgeContainer | UpdateContainer
)  # fmt: skip
Order = Annotated[
    CreateContainer
    | Verb
    | RebootNode
    | MigrateContainer
    | CheckMigration
    | CheckUpdate
    | AdoptContainer
    | ClearDebris
    | QuarantineContainer
    | LookAtContainer
    | ExecBatch
    | ScanHostKey
    | EnrolNode
    | ObserveNode
    | CheckQueue,
    Field(discriminator="kind"),
]
ORDER: TypeAdapter[Order] = TypeAdapter(Order, config=ConfigDict(hide_input_in_errors=True))  # an input may be a password
