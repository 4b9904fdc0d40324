"""What an update does inside a container, and how it is judged: the parts that the order and a roll-out's specification share."""

from enum import StrEnum, auto
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.spans import SomeTime, Span, wanted
from models.whitelist import sendable

LONGEST_SCRIPT = 65_536  # it travels in every order; what is longer belongs on a server of its own
LONGEST_COMMAND = 131_072  # of an exec: it travels once a node


class Part(BaseModel):
    """Part of an order or a specification."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Family(StrEnum):
    """Package managers that are known."""

    APT = auto()
    YUM = auto()
    DNF = auto()
    ZYPPER = auto()
    APK = auto()


class Script(Part):
    """A script, run inside by the interpreter it names. It may be run again after a crash of its node: write it so that this does no harm."""

    do: Literal["script"] = "script"
    text: Annotated[str, AfterValidator(sendable)] = Field(
        min_length=1, max_length=LONGEST_SCRIPT, pattern=r"^[^\x00]*$", description="The script itself; it travels over stdin."
    )
    interpreter: Literal["sh", "bash", "python3", "perl"] = Field(description="What runs the script; it must be in the container.")
    arguments: tuple[Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")], ...] = Field((), max_length=50)
    timeout: SomeTime = Field("30m", description="Ended inside the container after so long.")
    up_to_date_code: int | None = Field(None, strict=True, ge=1, le=123, description="Exit code by which it says that there was nothing to do.")


class Packages(Part):
    """An upgrade of packages by the container's own package manager; kernel packages are held."""

    do: Literal["packages"] = "packages"
    names: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_:@-]{0,127}$"), wanted("a package's name")], ...] = Field(
        (), max_length=200, description="Only these; all that can be upgraded if left out."
    )
    security_only: bool = Field(False, strict=True, description="Only what its distribution calls a security update.")
    families: tuple[Family, ...] = Field((), max_length=len(Family), description="Containers of other families are skipped; all if left out.")
    timeout: SomeTime = Field("1h", description="Ended inside the container after so long.")


Action = Annotated[Script | Packages, Field(discriminator="do")]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class Http(Part):
    """A page that must answer."""

    path: str = Field("/", max_length=500, pattern=r"^/[!-~]*$")
    port: Port = 80
    status: int = Field(200, strict=True, ge=100, le=599)


class Health(Part):
    """What must hold after the update; where it does not, the target has regressed."""

    command: str | None = Field(
        None, min_length=1, max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*$", description="Run inside by /bin/sh; must exit with 0."
    )
    tcp: tuple[Port, ...] = Field((), max_length=20, description="Ports of its first address that must take connections.")
    http: tuple[Http, ...] = Field((), max_length=20, description="Pages of its first address that must answer.")
    services: bool = Field(False, strict=True, description="What ran before must run after.")
    within: Span = Field("2m", description="How long it may take until all of that holds.")

    @model_validator(mode="after")
    def _something(self) -> "Health":
        if not (self.command or self.tcp or self.http or self.services):
            raise ValueError("asks for nothing; name a command, tcp or http, or services = true, or leave the health check out")
        return self


class Reboot(StrEnum):
    """Whether the container is restarted afterwards."""

    NEVER = "never"
    IF_WANTED = "if-wanted"  # where the update says so, e.g. /run/reboot-required
    ALWAYS = "always"


Choice = Literal["skip", "wait"]


class Unready(Part):
    """What to do with a container that cannot be updated as it stands."""

    stopped: Choice = "skip"
    suspended: Choice = "skip"
    locked: Choice = Field("wait", description="Another command holds its lock.")
    migrating: Choice = "wait"


class Manner(Part):
    """How an update is done, whatever it is."""

    action: Action
    health: Health | None = None
    snapshot: bool = Field(False, strict=True, description="Take a snapshot before; where the layout cannot, the container is skipped.")
    revert: bool = Field(False, strict=True, description="Go back to it after a failure. What customers wrote since is lost with it.")
    reboot: Reboot = Reboot.NEVER
    unready: Unready = Unready()

    @model_validator(mode="after")
    def _snapshot_to_revert_to(self) -> "Manner":
        if self.revert and not self.snapshot:
            raise ValueError("revert needs a snapshot to go back to; say snapshot = true as well")
        return self
