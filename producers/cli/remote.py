"""A house elsewhere: what `vzq --url` can do over its HTTP API, shown on the same screens. Loaded only when a URL is given."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from models.jobs import Begun, Event, Job
from models.lifecycle import Cause, State
from models.orders import Order
from producers.cli.door import Unusable
from producers.cli.rows import fields, job_of
from producers.refusals import BadOrder, NoRoom, Refusal
from producers.story import Story

TIMEOUT_S = 30.0
LOOK_S = 0.5
BULK = 500  # orders in one request


class Api:
    """The HTTP API of a house; every answer is either what was wanted or an exception that the command line knows."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value not in (None, "", [], ())})

    def post(self, path: str, body: Any = None, *, because: str = "", headers: Mapping[str, str] | None = None, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON."""
        return self._ask("POST", path, json=body, params=query | ({"because": because} if because else {}), headers=dict(headers or {}))

    def begin(self, path: str, body: Any, *, key: str, because: str) -> tuple[Any, bool]:  # noqa: ANN401 - JSON
        """The JSON of what was begun, and whether the key had brought it before."""
        params = {"because": because} if because else {}
        answer = self._send("POST", path, json=body, params=params, headers={"Idempotency-Key": key} if key else {})
        return answer.json(), answer.headers.get("Idempotency-Replayed") == "true"

    def delete(self, path: str, *, because: str = "") -> None:
        """It is gone."""
        self._ask("DELETE", path, params={"because": because} if because else {})

    def pages(self, path: str, limit: int, **query: Any) -> list[Any]:  # noqa: ANN401 - JSON
        """Items of a list, page after page."""
        found: list[Any] = []
        cursor = None
        while len(found) < limit:
            page = self.get(path, limit=min(500, limit - len(found)), cursor=cursor, **query)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def alive(self) -> bool:
        """Whether a dispatcher is alive there."""
        try:
            return bool(self._http.get("/readyz").json()["dispatcher"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False

    def place(self, order: Order, *, key: str, because: str) -> tuple[Job, bool]:
        """The job of an order, and whether the key had brought it before; raises BadOrder or Refusal."""
        (answered,) = self.bulk([(order, key, because)])
        if answered["problem"] is not None:
            raise _refused(answered["problem"])
        return job_of(answered["job"]), answered["replayed"]

    def bulk(self, asked: Sequence[tuple[Order, str, str]]) -> list[Any]:
        """An answer for each order with its key and reason, in their order; each is taken or refused for itself."""
        items = [{"key": key or _made_up(), "because": because, "order": _body(order)} for order, key, because in asked]
        parts = [items[start : start + BULK] for start in range(0, len(items), BULK)]
        return [answer for part in parts for answer in self.post("/v1/orders:bulk", {"items": part})["items"]]

    def find(self, ending: str) -> str:
        """The id of the job whose id ends so; raises BadOrder."""
        ending = ending.upper()
        if len(ending) == 26:
            return ending
        if len(ending) < 4 or not ending.isalnum():
            raise BadOrder({"job": f"{ending!r} is not a job id; give at least its last four characters"})
        fitting = [shape["id"] for shape in self.pages("/v1/jobs", 2000) if shape["id"].endswith(ending)]
        if len(fitting) != 1:
            raise BadOrder({"job": f"{len(fitting)} of the newest 2000 jobs end so; give the whole id"})
        return str(fitting[0])

    def story(self, job_id: str) -> tuple[Story, dict[str, Any]]:
        """A job's story, and the same as it came."""
        shape = self.get(f"/v1/jobs/{job_id}")
        events = [Event(**fields(event, job_id=event["job"], cause=Cause(event["cause"]), state=State(event["state"]))) for event in shape["events"]]
        begun = [Begun(**fields(one, job_id=job_id)) for one in shape["journal"]]
        return Story(job_of(shape), events, begun, shape["addresses"], ""), shape

    def follow(self, ids: Sequence[str], view: Any, *, timeout_s: float | None) -> list[Job]:  # noqa: ANN401 - follow.View
        """Feed `view` until the jobs have ended or are stuck, or the time is over; the jobs as they stand then."""
        seen = dict.fromkeys(ids, 0)
        begun = time.monotonic()
        while True:
            stories = [self.story(job_id)[0] for job_id in seen]
            news = [event for told in stories for event in told.events if (event.id or 0) > seen[event.job_id]]
            seen |= {event.job_id: event.id or 0 for event in news}
            jobs = [told.job for told in stories]
            view.show(jobs, sorted(news, key=lambda event: event.id or 0))
            late = timeout_s is not None and time.monotonic() - begun >= timeout_s
            if late or all(job.ended or job.state == State.STUCK for job in jobs):
                return jobs
            time.sleep(LOOK_S)

    def _ask(self, method: str, path: str, **given: Any) -> Any:  # noqa: ANN401 - JSON
        answer = self._send(method, path, **given)
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401 - as httpx takes it
        try:
            answer = self._http.request(method, path, **given)
            told = answer.json() if answer.content else None
        except httpx.HTTPError as error:
            raise Unusable(f"{self._http.base_url} cannot be reached: {error}; see that VZQ_URL names a running service") from None
        except ValueError:
            raise Unusable(f"{self._http.base_url} does not speak vzq's API; see VZQ_URL") from None
        if answer.is_success:
            return answer
        raise _refused(told) if isinstance(told, dict) and "detail" in told else Unusable(f"{self._http.base_url} answered {answer.status_code}")


@contextmanager
def api() -> Iterator[Api]:
    """The API that VZQ_URL and VZQ_TOKEN name; raises BadOrder or Unusable."""
    token = os.environ.get("VZQ_TOKEN", "")
    if not token:
        raise BadOrder({"VZQ_TOKEN": "a house elsewhere opens to a token only; put it there"})
    verify = os.environ.get("VZQ_CA") or True
    try:
        http = httpx.Client(base_url=os.environ["VZQ_URL"], headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, verify=verify)
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise Unusable(f"VZQ_URL or VZQ_CA cannot be used: {error}") from None
    with http:
        yield Api(http)


def _refused(problem: Mapping[str, Any]) -> Exception:
    detail = str(problem["detail"])
    if problem["status"] in {400, 413, 415, 422}:
        return BadOrder({error["field"]: error["what"] for error in problem["errors"]} or {"order": detail})
    if problem["status"] == 404:
        return BadOrder({"name": detail})
    if problem["status"] == 409 and problem["reasons"]:
        return NoRoom(detail.partition(" (")[0], problem["reasons"])
    return Unusable(detail) if problem["status"] >= 500 or problem["status"] == 429 else Refusal(detail)


def _body(order: Order) -> dict[str, Any]:
    body = order.model_dump(mode="json", exclude_unset=True) | {"kind": order.kind}
    secret = getattr(order, "password", None)
    return body | ({"password": secret.get_secret_value()} if secret is not None else {})


def _made_up() -> str:
    from ulid import ULID  # noqa: PLC0415

    return str(ULID())
