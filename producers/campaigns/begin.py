"""A campaign begins: its row, its targets and its first event in one transaction. The service does the rest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from models.campaign_states import CampaignCause, CampaignState
from models.campaigns import Campaign, CampaignEvent, CampaignKind, Target
from models.database import Database
from models.jobs import SpentKey
from producers.audit import HOUSE, audit
from producers.campaigns.forget import spent_key
from producers.intake import Intake
from producers.refusals import KeyReused, KeySpent
from producers.request_id import REQUEST


@dataclass(frozen=True)
class Asked:
    """Who wants which campaign, and why."""

    kind: CampaignKind
    name: str
    spec: Mapping[str, Any]  # as JSON
    by: str
    because: str = ""
    key: str = ""  # makes it safe to repeat: the same key and specification give the same campaign back
    version: int = 1
    retry_of: str | None = None
    schedule: str | None = None

    @property
    def digest(self) -> str:
        """Of what is asked for."""
        return hashlib.sha256(json.dumps([self.kind, self.spec, self.retry_of], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Begun:
    """The campaign, and whether the same key had brought the same one before."""

    campaign: Campaign
    replay: bool


def known(database: Database, session: Session, asked: Asked) -> Begun | None:
    """What the key has brought before; raises KeyReused when that was something else, KeySpent when it is not kept any more.

    Keeps the key from others until the transaction ends.
    """
    if not asked.key:
        return None
    database.lock(session, f"campaign-key:{asked.key}")
    before = session.exec(select(Campaign).where(Campaign.key == asked.key)).first()
    if before is None:
        spent = session.get(SpentKey, spent_key(asked.key))
        if spent is not None:
            raise KeySpent(asked.key, spent.job_id, f"{spent.state} {spent.ended_at:%Y-%m-%d}", same=spent.digest == asked.digest, what=spent.kind)
        return None
    if before.digest != asked.digest:
        differing = sorted(field for field in before.spec.keys() | asked.spec.keys() if before.spec.get(field) != asked.spec.get(field))
        raise KeyReused(asked.key, before.id, differing or ["kind"], what=before.kind)
    return Begun(before, replay=True)


def begin(database: Database, intake: Intake, session: Session, asked: Asked, targets: Sequence[Target]) -> Begun:
    """Write it down within the caller's transaction; ask `known` first."""
    now = database.now(session)
    campaign_id = intake.new_id()
    campaign = Campaign(
        id=campaign_id,
        kind=asked.kind,
        name=asked.name,
        version=asked.version,
        spec=dict(asked.spec),
        key=asked.key or campaign_id,
        digest=asked.digest,
        producer=asked.by,
        because=asked.because,
        request=REQUEST.get(),
        retry_of=asked.retry_of,
        schedule=asked.schedule,
        started_at=now,
        running_since=now,
        look_at=now,
        why="about to start",
    )
    session.add(campaign)
    session.flush()  # before what refers to it
    for target in targets:
        target.campaign_id = campaign_id
    session.add_all(targets)
    waves = 1 + max(target.wave for target in targets)
    why = f"{len(targets)} target{'s' * (len(targets) > 1)} in {waves} wave{'s' * (waves > 1)}"
    data = {"by": asked.by, "because": asked.because}
    session.add(CampaignEvent(campaign_id=campaign_id, cause=CampaignCause.STARTED, state=CampaignState.RUNNING, at=now, why=why, data=data))
    if asked.by != HOUSE:
        audit(session, at=now, by=asked.by, action=f"{asked.kind} start", subject=f"campaign:{campaign_id}", because=asked.because)
    return Begun(campaign, replay=False)
