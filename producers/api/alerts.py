"""`/v1/alerts`: Alertmanager's webhook. Off unless VZQ_ALERT_RULES names a file that says what which alert does."""

from datetime import datetime
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlmodel import Session

from producers.alerts.act import Actor, Fired, Told, Verdict
from producers.alerts.rules import RulesError, read_rules
from producers.api.gate import Alerter, TheHouse, unbound
from producers.api.placing import persist
from producers.api.problems import Fault

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["alerts"])
Label = Annotated[str, Field(max_length=100)]
Value = Annotated[str, Field(max_length=1000)]


class OneAlert(BaseModel):
    """As Alertmanager sends it; what else it sends is left aside."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[Label, Value] = Field(max_length=100)
    annotations: dict[Label, Annotated[str, Field(max_length=10_000)]] = Field(default_factory=dict, max_length=100)
    startsAt: AwareDatetime  # noqa: N815 - Alertmanager's name
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")


class Notification(BaseModel):
    """The body of Alertmanager's webhook, version 4."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    alerts: list[OneAlert] = Field(max_length=1000)


class Answered(BaseModel):
    """What became of one alert."""

    alert: str
    fingerprint: str
    verdict: Verdict = Field(description="done; would: dry run; before: this firing was acted on before; refused: a person must decide; ignored.")
    what: str = Field(description="One sentence for a person.")


class Answers(BaseModel):
    """One answer for each alert, in their order."""

    alerts: list[Answered]


@router.post("/alerts", operation_id="tellAlerts", response_model=Answers)
def tell_alerts(
    request: Request,
    house: TheHouse,
    caller: Alerter,
    told: Notification,
    dry_run: Annotated[bool, Query(description="Only tell what would be done.")] = False,  # noqa: FBT002 - a query parameter
) -> Response:
    """Act on alerts as the rules say, once for each firing. An alert that ends undoes nothing: a person lets things go on."""
    unbound(caller)
    path = request.app.state.alert_rules
    if path is None:
        raise Fault(409, "alerts do nothing here; to let them, name a file of rules with VZQ_ALERT_RULES and restart the service")
    try:
        rules = read_rules(path)
    except RulesError as error:
        raise Fault(503, str(error)) from None
    fired = [Fired(one.fingerprint, one.startsAt, one.status == "firing", one.labels, one.annotations.get("summary", "")) for one in told.alerts]

    def work(session: Session) -> list[Told]:
        now: datetime = house.database.now(session)
        return Actor(house.database, house.intake, session, caller.name, now).act(rules, fired, dry_run=dry_run)

    answered = persist(house, work)
    for one in answered:
        log.info("alert_heard", alert=one.alert.name, fingerprint=one.alert.fingerprint, verdict=one.verdict, what=one.what)
    if any(one.verdict is Verdict.DONE for one in answered):
        request.app.state.doorbell.ring()
    return JSONResponse({"alerts": [_shape(one) for one in answered]})


def _shape(told: Told) -> dict[str, Any]:
    return {"alert": told.alert.name, "fingerprint": told.alert.fingerprint, "verdict": str(told.verdict), "what": told.what}
