"""What may be asked, told apart by `kind`. The API, order files and the command line all speak this schema."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, field_validator

from models.whitelist import Address, CtId, HostName, Password, Word

_password = TypeAdapter(Password)


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Word | None = Field(None, description="Site whose nodes and workers serve it; the installation's own site if left out.")


class CreateContainer(_Order):
    """A new container: made, sized, addressed, started and answering."""

    kind: Literal["create-container"] = "create-container"
    plan: Word = Field(description="Name of the plan that says RAM, disk and CPU.")
    template: Word = Field(description="OS template as the nodes name it, e.g. debian-12-x86_64-minbase.")
    hostname: HostName
    pool: Word | None = Field(None, description="Address pool; any pool of the site with free addresses if left out.")
    ctid: CtId | None = Field(None, description="Container id; the next free one if left out.")
    node: Word | None = Field(None, description="Node to use; chosen by free capacity if left out.")
    name: Word | None = Field(None, description="vzctl's own name of the container, unique in the installation.")
    customer: Word | None = Field(None, description="Whose container it is.")
    nameservers: tuple[Address, ...] = Field((), max_length=4, description="Resolvers; the pool's if left out.")
    searchdomain: HostName | None = None
    password: SecretStr | None = Field(None, description="Root password; encrypted at rest, handed to the node over stdin only.")
    wait_for_capacity: bool = Field(False, description="Wait in the queue instead of being refused when no node has room.")

    @field_validator("password")
    @classmethod
    def _one_line(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                _password.validate_python(secret.get_secret_value())
            except ValueError:  # pydantic's own text would repeat the password
                raise ValueError("not a password of 8 to 128 printable characters without blanks") from None
        return secret


class ScanHostKey(_Order):
    """Ask a machine for its SSH host key, so that a person can compare it before it is pinned."""

    kind: Literal["scan-host-key"] = "scan-host-key"
    host: HostName | Address
    port: int = Field(22, ge=1, le=65535)


class EnrolNode(_Order):
    """Take a machine into the fleet: pin its host key, install the node's side, learn its abilities."""

    kind: Literal["enrol-node"] = "enrol-node"
    node: Word
    host: HostName | Address
    port: int = Field(22, ge=1, le=65535)
    user: Word = "root"
    fingerprint: str = Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$", description="The host key to pin; anything else is refused.")


class ObserveNode(_Order):
    """Look at a node again: abilities, free space, containers; sees to it that the node's side is up to date."""

    kind: Literal["observe-node"] = "observe-node"
    node: Word


class CheckQueue(_Order):
    """Go the whole way through the queue and do nothing: tells that service, Redis, database and a worker work together."""

    kind: Literal["check-queue"] = "check-queue"


Order = Annotated[CreateContainer | ScanHostKey | EnrolNode | ObserveNode | CheckQueue, Field(discriminator="kind")]
ORDER: TypeAdapter[Order] = TypeAdapter(Order)
