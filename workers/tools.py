"""What a plan may use besides its driver: looks that are not journaled, proof of what was begun, sealed secrets."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from models.errors import Permanent
from models.fleet import Node
from models.vault import Vault, VaultError
from workers.commands import Command, Finished
from workers.openvz.driver import Abilities
from workers.openvz.rows import abilities_of
from workers.reach import answers
from workers.transport.ssh import Link, NodeAddress

LOOK_TIMEOUT = timedelta(seconds=60)
Reach = Callable[[str, str], Awaitable[bool]]  # does this address answer, asked by this probe?


async def _nothing(_step: str) -> Finished | None:
    return None


class Roads(Protocol):
    """The ways to all nodes (workers/transport/links.py)."""

    def to(self, address: NodeAddress) -> Link: ...


@dataclass(frozen=True)
class Tools:
    """For one job on one node."""

    link: Link
    vault: Vault
    began: Callable[[str], bool]  # does the node's own ledger say that this job began this step here?
    answers: Reach = answers
    recall: Callable[[str], Awaitable[Finished | None]] = _nothing  # what a step of this job said when it was done

    async def run(self, command: Command, *, patience: timedelta = LOOK_TIMEOUT) -> Finished:
        """Run something that changes nothing, straight over the link; never for what has an effect."""
        return await self.link.run(command.argv, stdin=command.stdin, timeout=min(command.timeout, patience))

    def open(self, sealed: str) -> str:
        """A secret in clear, for a command's stdin only; raises Permanent when this host lacks the key."""
        try:
            return self.vault.open(sealed)
        except VaultError as error:
            raise Permanent(f"cannot open the order's password: {error}") from error


def known_abilities(node: Node) -> Abilities:
    """What was learned of the node when it was last looked at; raises Permanent for one that never was."""
    abilities = abilities_of(node.abilities)
    if abilities is None:
        raise Permanent(f"nothing is known of node {node.name}; look at it with `vzq node observe {node.name}`")
    return abilities
