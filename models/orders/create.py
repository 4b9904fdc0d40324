"""An order for a new container."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from models.orders.asked import GENERATE, Asked, checked_password
from models.whitelist import Address, CtId, HostName, Word

Count = Annotated[int | None, Field(strict=True, ge=0, le=16)]


class CreateContainer(Asked):
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

    _one_line = field_validator("password")(checked_password)

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
