"""An order becomes a job: checked, placed and stored with its first event in one transaction."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from models.database import Database
from models.fleet import Node, NodeState
from models.house import HANDOUT, Secret
from models.ids import JobIds
from models.jobs import Event, Job, SpentKey
from models.kinds import KINDS
from models.lifecycle import Cause, State
from models.orders import (
    VERB_ORDERS,
    AdoptContainer,
    CheckMigration,
    CheckUpdate,
    ClearDebris,
    CreateContainer,
    EnrolNode,
    ExecBatch,
    LookAtContainer,
    MigrateContainer,
    ObserveNode,
    Order,
    QuarantineContainer,
    RebootNode,
    ReinstallContainer,
    SetPassword,
)
from models.vault import SEALED, Vault
from producers.audit import HOUSE, audit
from producers.chart import chart
from producers.inside import prepare as prepare_exec
from producers.moves import prepare as prepare_move
from producers.passwords import generate
from producers.reboots import prepare as prepare_reboot
from producers.refusals import BadOrder, KeyReused, KeySpent, NoRoom
from producers.request_id import REQUEST
from producers.reserve import check, reserve
from producers.strays import prepare as prepare_stray
from producers.update_checks import prepare as prepare_check
from producers.verbs import prepare

KEYS = "vzq_keys"  # in a session's `info`: the jobs that its transaction has accepted, by key


@dataclass(frozen=True)
class Accepted:
    """The job, and whether the same key had brought the same order before."""

    job: Job
    replay: bool


class Intake:
    """The one way in: command line, API, schedules and reactions all place orders here."""

    def __init__(self, database: Database, *, vault: Vault, ids: JobIds, site: str) -> None:
        self._database = database
        self._vault = vault
        self._ids = ids
        self._site = site

    def new_id(self) -> str:
        """A name for what is no job but sorts with them, e.g. a campaign."""
        return self._ids.next()

    def submit(
        self, session: Session, order: Order, *, by: str, because: str = "", key: str = "", retry_of: str | None = None,
        campaign: str | None = None, request: str = "",
    ) -> Accepted:  # fmt: skip
        """Accept `order` within the caller's writing transaction; after its commit nothing can be lost.

        `key` makes it safe to repeat: the same key and order give the same job back. Without a key it is a new
        order each time. `request` is the id of the HTTP request it came with, where that is not the one being served.
        Raises BadOrder, KeyReused, NoRoom or another Refusal; then nothing was written.
        """
        asked, digest, password = self._canonical(order)
        if key:
            self._database.lock(session, f"key:{key}")
            known = _known(session, key)
            if known is not None:
                if known.digest != digest:
                    raise KeyReused(key, known.id, _differing(known.order, asked))
                return Accepted(known, replay=True)
            spent = session.get(SpentKey, key)
            if spent is not None:
                raise KeySpent(key, spent.job_id, f"{spent.state} {spent.ended_at:%Y-%m-%d}", same=spent.digest == digest)
        now = self._database.now(session)
        request = request or REQUEST.get()
        job_id = self._ids.next()
        rules = KINDS[order.kind]
        job = Job(
            id=job_id,
            kind=order.kind,
            order=asked,
            rank=rules.rank,
            site=order.site or self._site,
            family=rules.family,
            load=rules.load,
            key=key or job_id,
            digest=digest,
            producer=by,
            because=because,
            request=request,
            retry_of=retry_of,
            campaign=campaign,
            customer=order.customer if isinstance(order, CreateContainer | AdoptContainer) else None,
            accepted_at=now,
            due_at=now,
            deadline=now + rules.deadline,
        )
        why = self._place(session, job, order)
        session.add(job)
        session.info.setdefault(KEYS, {})[job.key] = job
        data = {"by": by, "because": because} | ({"request": request} if request else {})
        session.add(Event(job_id=job.id, cause=Cause.ACCEPTED, state=State.QUEUED, at=now, why=why, data=data))
        if password is not None:
            self._seal(session, job, password, handout=asked.get("generate_password") is True)
        if by != HOUSE:
            audit(session, at=now, by=by, action=f"order {job.kind}", subject=f"job:{job.id}", because=because, data=_about(job, request))
        return Accepted(job, replay=False)

    def _seal(self, session: Session, job: Job, password: str, *, handout: bool) -> None:
        """For the worker; a generated one also for whoever ordered it, who has not seen it."""
        sealed = self._vault.seal(password)
        session.add_all(Secret(job_id=job.id, name=name, sealed=sealed) for name in ("password", HANDOUT) if handout or name != HANDOUT)

    def _place(self, session: Session, job: Job, order: Order) -> str:
        """Give the job its node and, for a new container, its reservation; the sentence for its first event."""
        match order:
            case CreateContainer():
                return self._reserve(session, job, order)
            case EnrolNode():
                _expect_node(session, order, site=job.site)
            case ObserveNode() | LookAtContainer():
                if session.get(Node, order.node) is None:
                    raise BadOrder({"node": f"there is no node {order.node!r}; see `vzq node list`"})
                job.node = order.node
            case RebootNode():
                return prepare_reboot(session, order, job)
            case _:
                return self._prepare(session, job, order)
        return ""

    def _prepare(self, session: Session, job: Job, order: Order) -> str:
        """An order about containers that are there."""
        match order:
            case AdoptContainer() | ClearDebris() | QuarantineContainer():
                return prepare_stray(session, order, job)
            case ExecBatch():
                return prepare_exec(self._database, session, order, job)
            case CheckUpdate():
                return prepare_check(session, order, job)
            case MigrateContainer() | CheckMigration():
                return prepare_move(self._database, session, order, job, now=job.accepted_at)
            case _ if isinstance(order, VERB_ORDERS):
                return prepare(self._database, session, order, job, now=job.accepted_at)
        return ""

    def _reserve(self, session: Session, job: Job, order: CreateContainer) -> str:
        try:
            reserved = reserve(self._database, session, order, job_id=job.id, site=job.site, now=job.accepted_at)
        except NoRoom as no_room:
            if not order.wait_for_capacity:
                raise
            check(session, order, chart(self._database, session, job.site))
            return f"waits for capacity: {no_room}"
        job.node, job.ctid = reserved.container.node, reserved.container.ctid
        return f"container {job.ctid} on {job.node}: {reserved.placement.because}; {', '.join(reserved.addresses)}"

    def _canonical(self, order: Order) -> tuple[dict[str, Any], str, str | None]:
        """The order as it is stored, its digest, and the password that is stored apart."""
        asked = order.model_dump(mode="json", exclude_none=True)
        text = json.dumps(asked | {"password": SEALED} if "password" in asked else asked, sort_keys=True)
        password = None
        if isinstance(order, CreateContainer | ReinstallContainer | SetPassword):
            password = order.password.get_secret_value() if order.password else None
            if password is not None and order.generate_password:
                raise BadOrder({"generate_password": "the order has a password already; give one or have one generated"})
            if password is not None:
                text += self._vault.fingerprint(password)  # another password is another order
            elif order.generate_password:
                password = generate()
            elif isinstance(order, SetPassword):
                raise BadOrder({"password": "is missing; give one, or generate_password: true"})
        if password is not None:
            asked["password"] = SEALED
        return asked, hashlib.sha256(text.encode()).hexdigest(), password


def _known(session: Session, key: str) -> Job | None:
    """The job of this key. Those of this transaction are kept at hand: to look for one need not write down all that came before it."""
    fresh: dict[str, Job] = session.info.get(KEYS, {})
    if key in fresh:
        return fresh[key]
    with session.no_autoflush:
        return session.exec(select(Job).where(Job.key == key)).first()


def _expect_node(session: Session, order: EnrolNode, *, site: str) -> None:
    """A row for the node that is coming; a node that works already is only enrolled again under its own host key."""
    node = session.get(Node, order.node, with_for_update=True)
    if node is not None and node.state != NodeState.NEW and (node.host, node.port) != (order.host, order.port):
        raise BadOrder({"node": f"{order.node} is enrolled already at {node.host}:{node.port}; choose another name"})
    if node is None:
        session.add(Node(name=order.node, site=site, host=order.host, port=order.port, user=order.user))
    elif node.state == NodeState.NEW:
        node.host, node.port, node.user, node.site = order.host, order.port, order.user, site
        session.add(node)


def _about(job: Job, request: str) -> dict[str, Any]:
    about = {"container": job.ctid, "node": job.node, "request": request}
    return {name: value for name, value in about.items() if value}


def _differing(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    fields = sorted(field for field in stored.keys() | asked.keys() if stored.get(field) != asked.get(field))
    return fields or ["password"]  # the only field that is not stored as it came
