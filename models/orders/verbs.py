"""The life of a container that is there, verb by verb."""

from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from models.orders.asked import GENERATE, Asked, checked_password
from models.whitelist import Address, CtId, HostName, Word


class Verbal(Asked):
    """Something that is done with one container."""

    ctid: CtId = Field(description="The container's id.")


class StartContainer(Verbal):
    """Start it; done when it executes commands and its address answers."""

    kind: Literal["start-container"] = "start-container"


class StopContainer(Verbal):
    """Stop it; it stays stopped over a reboot of the node."""

    kind: Literal["stop-container"] = "stop-container"
    fast: bool = Field(False, strict=True, description="Kill it instead of letting it shut down.")


class RestartContainer(Verbal):
    """Stop and start it."""

    kind: Literal["restart-container"] = "restart-container"


class SuspendContainer(Verbal):
    """Stop it so that neither its customer nor a reboot of the node starts it."""

    kind: Literal["suspend-container"] = "suspend-container"


class UnsuspendContainer(Verbal):
    """End a suspension: it runs again."""

    kind: Literal["unsuspend-container"] = "unsuspend-container"


class ResizeContainer(Verbal):
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


class ReinstallContainer(Verbal):
    """A fresh system; id, names, addresses and ssh keys are kept, all other data is lost."""

    kind: Literal["reinstall-container"] = "reinstall-container"
    template: Word | None = Field(None, description="Another OS template; the same one if left out.")
    fresh_keys: bool = Field(False, strict=True, description="Go on where ssh keys cannot be kept, i.e. on ploop: the new system makes its own.")
    password: SecretStr | None = Field(None, description="New root password.")
    generate_password: bool = Field(False, strict=True, description=GENERATE)

    _one_line = field_validator("password")(checked_password)


class SetPassword(Verbal):
    """Another root password, over stdin, from inside."""

    kind: Literal["set-password"] = "set-password"
    password: SecretStr | None = Field(None, description="The new one; or let one be generated.")
    generate_password: bool = Field(False, strict=True, description=GENERATE)

    _one_line = field_validator("password")(checked_password)


class SetHostname(Verbal):
    """Another host name."""

    kind: Literal["set-hostname"] = "set-hostname"
    hostname: HostName


class SetNameservers(Verbal):
    """Other resolvers."""

    kind: Literal["set-nameservers"] = "set-nameservers"
    nameservers: tuple[Address, ...] = Field(min_length=1, max_length=4)
    searchdomain: HostName | None = None


class RenameContainer(Verbal):
    """Another name for vzctl, unique in the installation."""

    kind: Literal["rename-container"] = "rename-container"
    name: Word


class AddAddress(Verbal):
    """One more address."""

    kind: Literal["add-address"] = "add-address"
    pool: Word | None = Field(None, description="Pool to take it from; any pool of the site if left out.")
    family: Literal["ipv4", "ipv6"] | None = Field(None, description="Of which family; of whatever family the pool has if left out.")
    address: Address | None = Field(None, description="One that it has in the books already, where the node lacks it; a new one if left out.")


class RemoveAddress(Verbal):
    """Take an address away; the last one stays."""

    kind: Literal["remove-address"] = "remove-address"
    address: Address


class TerminateContainer(Verbal):
    """End it: stopped and kept for its grace, then purged."""

    kind: Literal["terminate-container"] = "terminate-container"
    grace_hours: float = Field(168, strict=True, ge=0, le=24 * 365, description="How long it can be revived; 0: purged at once.")


class ReviveContainer(Verbal):
    """Bring a terminated container back while its grace lasts."""

    kind: Literal["revive-container"] = "revive-container"


class PurgeContainer(Verbal):
    """Remove a terminated container for good and give its addresses back."""

    kind: Literal["purge-container"] = "purge-container"
