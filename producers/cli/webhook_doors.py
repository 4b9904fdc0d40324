"""Webhooks of this house, or of one elsewhere over its API: the same answers, in the API's own shapes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlmodel import Session, select

from models.hooks import Webhook
from models.ids import JobIds
from producers.cli.doors import acting
from producers.cli.options import asker
from producers.refusals import BadOrder
from producers.shapes import delivery_shape, hook_shape
from producers.webhooks import manage
from producers.webhooks.manage import Asked, Wish
from producers.webhooks.settings import WebhookSettings
from producers.webhooks.trouble import troubles

if TYPE_CHECKING:
    from producers.cli.remote import Api
    from producers.house import House

Shape = dict[str, Any]
T = TypeVar("T")


class Hooks(Protocol):
    """What the commands need."""

    def all(self) -> list[Shape]: ...
    def make(self, wish: Wish) -> Shape: ...
    def rotate(self, hook_id: str) -> Shape: ...
    def ping(self, hook_id: str) -> Shape: ...
    def deliveries(self, hook_id: str, limit: int) -> list[Shape]: ...
    def redeliver(self, hook_id: str, delivery: int) -> Shape: ...
    def replay(self, hook_id: str, number: int) -> int: ...
    def remove(self, hook_id: str) -> None: ...


class Here:
    """In this house's own database."""

    def __init__(self, house: "House", *, by: str, because: str) -> None:
        self._house = house
        self._by = by
        self._because = because

    def all(self) -> list[Shape]:
        """Every webhook."""
        with self._house.database.read() as session:
            found = troubles(session, self._house.clock.now())
            return [hook_shape(hook, trouble=found.get(hook.id)) for hook in session.exec(select(Webhook).order_by(Webhook.id)).all()]

    def make(self, wish: Wish) -> Shape:
        """A new one, with its secret."""
        house, networks = self._house, _networks()
        return self._write(
            lambda session, asked: hook_shape(*manage.make(session, house.vault, wish, asked, hook_id=JobIds(house.clock).next(), networks=networks))
        )

    def rotate(self, hook_id: str) -> Shape:
        """The webhook with its new secret."""

        def work(session: Session, asked: Asked) -> Shape:
            hook = manage.find(session, hook_id)
            return hook_shape(hook, manage.turn_secret(session, self._house.vault, hook, asked))

        return self._write(work)

    def ping(self, hook_id: str) -> Shape:
        """The delivery that tells of nothing."""
        return self._write(lambda session, asked: delivery_shape(manage.ping(session, manage.find(session, hook_id), asked)))

    def deliveries(self, hook_id: str, limit: int) -> list[Shape]:
        """Newest first."""
        with self._house.database.read() as session:
            return [delivery_shape(one) for one in manage.deliveries(session, manage.find(session, hook_id), limit=limit)]

    def redeliver(self, hook_id: str, delivery: int) -> Shape:
        """The delivery, which waits again."""
        return self._write(lambda session, asked: delivery_shape(manage.redeliver(session, manage.find(session, hook_id), delivery, asked)))

    def replay(self, hook_id: str, number: int) -> int:
        """How many wait now."""
        return self._write(lambda session, asked: manage.replay(session, manage.find(session, hook_id), number, asked))

    def remove(self, hook_id: str) -> None:
        """It is told nothing more."""
        self._write(lambda session, asked: manage.remove(session, manage.find(session, hook_id), asked))

    def _write(self, work: Callable[[Session, Asked], T]) -> T:
        try:
            with self._house.database.write() as session:
                return work(session, Asked(self._by, self._house.database.now(session), self._because))
        except LookupError as error:
            raise BadOrder({"ID": f"{error}; see `vzq webhook list`"}) from None


class There:
    """Over the API."""

    def __init__(self, api: "Api", *, because: str) -> None:
        self._api = api
        self._because = because

    def all(self) -> list[Shape]:
        """Every webhook."""
        return list(self._api.get("/v1/webhooks"))

    def make(self, wish: Wish) -> Shape:
        """A new one, with its secret."""
        body = {"url": wish.url, "events": list(wish.events), "customer": wish.customer}
        return dict(self._api.post("/v1/webhooks", body, because=self._because))

    def rotate(self, hook_id: str) -> Shape:
        """The webhook with its new secret."""
        return dict(self._api.post(f"/v1/webhooks/{hook_id}:rotate", because=self._because))

    def ping(self, hook_id: str) -> Shape:
        """The delivery that tells of nothing."""
        return dict(self._api.post(f"/v1/webhooks/{hook_id}:ping", because=self._because))

    def deliveries(self, hook_id: str, limit: int) -> list[Shape]:
        """Newest first."""
        return list(self._api.pages(f"/v1/webhooks/{hook_id}/deliveries", limit))

    def redeliver(self, hook_id: str, delivery: int) -> Shape:
        """The delivery, which waits again."""
        return dict(self._api.post(f"/v1/webhooks/{hook_id}/deliveries/{delivery}:redeliver", because=self._because))

    def replay(self, hook_id: str, number: int) -> int:
        """How many wait now."""
        return int(self._api.post(f"/v1/webhooks/{hook_id}:replay", because=self._because, number=number)["waiting"])

    def remove(self, hook_id: str) -> None:
        """It is told nothing more."""
        self._api.delete(f"/v1/webhooks/{hook_id}", because=self._because)


def hooks(by: str = "", because: str = "") -> AbstractContextManager[Hooks]:
    """The webhooks of the house that is meant."""
    return acting(lambda house: Here(house, by=asker(by), because=because), lambda api: There(api, because=because))


def whole(known: Hooks, ending: str) -> str:
    """The id of the webhook whose id ends so; raises BadOrder."""
    found = [hook["id"] for hook in known.all() if hook["id"].endswith(ending.upper())]
    if len(found) != 1 or len(ending) < 4:  # as the ids of jobs
        raise BadOrder({"ID": f"{ending!r} is no webhook's id; give it, or at least its last four characters; see `vzq webhook list`"})
    return str(found[0])


def _networks() -> Any:  # noqa: ANN401 - networks of either family
    try:
        return WebhookSettings().networks
    except ValueError as error:
        raise BadOrder({"VZQ_WEBHOOK_NETWORKS": str(error)}) from None
