"""Relocations of this house, or of one elsewhere over its API: what campaigns have, planning and beginning them, and what is left on a node."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlmodel import col, select

from models.fleet import Node, NodeState
from models.relocations import RelocationOrder
from producers.cli import campaign_doors
from producers.cli.campaign_doors import ALL, Campaigns
from producers.cli.doors import Who, acting, reading
from producers.relocations.shapes import plan_shape
from producers.relocations.start import asked_for, in_the_making, left_on, start


@dataclass(frozen=True)
class Left:
    """A node after an evacuation."""

    containers: int
    unknown: int  # that are in nobody's books
    making: Mapping[int, str]  # among the containers: those that are being made, each with its job
    state: str


class Relocations(Campaigns, Protocol):
    """What the commands need."""

    def active(self, site: str) -> Sequence[str]: ...
    def plan(self, order: RelocationOrder) -> dict[str, Any]: ...
    def start(self, order: RelocationOrder, key: str, who: Who) -> tuple[str | None, dict[str, Any]]: ...
    def left(self, node: str) -> Left: ...


class Here(campaign_doors.Here):
    """In this house's own database."""

    def active(self, site: str) -> Sequence[str]:
        """The nodes of a site that take work."""
        with self._database.read() as session:
            found = select(Node.name).where(Node.site == site, Node.state == NodeState.ACTIVE).order_by(col(Node.name))
            return session.exec(found).all()

    def plan(self, order: RelocationOrder) -> dict[str, Any]:
        """What it would do; raises BadOrder or Refusal."""
        with self._database.read() as session:
            return plan_shape(asked_for(self._database, session, order))

    def start(self, order: RelocationOrder, key: str, who: Who) -> tuple[str | None, dict[str, Any]]:
        """Begin it: the campaign's id, if anything has to move, and what it does. Raises BadOrder or Refusal."""
        house = self._acting()
        with house.database.write() as session:
            relocation = asked_for(house.database, session, order)
            shape = plan_shape(relocation)
            begun = start(house.database, house.intake, session, relocation, by=who.by, because=who.because, key=key)
            campaign_id = begun.campaign.id if begun is not None else None
        house.bell.wake()
        return campaign_id, shape

    def left(self, node: str) -> Left:
        """What the books have on it."""
        with self._database.read() as session:
            row = session.get(Node, node)
            state, unknown = ("no longer enrolled", 0) if row is None else (str(row.state), row.foreign_containers)
            return Left(left_on(session, node), unknown, in_the_making(session, node), state)


class There(campaign_doors.There):
    """Over the API."""

    def active(self, site: str) -> Sequence[str]:
        """The nodes of a site that take work."""
        return sorted(str(shape["name"]) for shape in self._api.pages("/v1/nodes", ALL, site=site) if shape["state"] == NodeState.ACTIVE)

    def plan(self, order: RelocationOrder) -> dict[str, Any]:
        """What it would do; raises BadOrder or Refusal."""
        told: dict[str, Any] = self._api.post("/v1/relocations:plan", _body(order))
        return told

    def start(self, order: RelocationOrder, key: str, who: Who) -> tuple[str | None, dict[str, Any]]:
        """Begin it: the campaign's id, if anything has to move, and what it does. Raises BadOrder or Refusal."""
        told, _ = self._api.begin("/v1/relocations", _body(order), key=key, because=who.because)
        return (told["campaign"] or {}).get("id"), told["plan"]

    def left(self, node: str) -> Left:
        """What the books have on it."""
        told = self._api.get(f"/v1/nodes/{node}")
        making = {one["ctid"]: one["job_id"] or "" for one in self._api.pages("/v1/containers", ALL, node=node, state="reserved")}
        return Left(told["containers"], told["foreign_containers"], making, told["state"])


def relocations_known() -> AbstractContextManager[Relocations]:
    """For commands that only look."""
    return reading(Here, There)


def acting_on_relocations() -> AbstractContextManager[Relocations]:
    """For commands that do something."""
    return acting(Here.of, There)


def _body(order: RelocationOrder) -> dict[str, Any]:
    return order.model_dump(mode="json", exclude_unset=True)
