"""Rows as JSON has them, on the command line and over HTTP. Others rely on these names: add to them, never rename."""

from typing import Any

from models.access import Audit, Token
from models.campaigns import CampaignEvent
from models.clock import stamp
from models.fleet import Container, ContainerState, Node, Plan, Pool
from models.hooks import Delivery, Webhook
from models.jobs import Begun, Event, Job
from models.kinds import DEFAULT_SLOTS
from producers.webhooks.trouble import Trouble


def job_shape(job: Job) -> dict[str, Any]:
    """A job; the same in lists and alone."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": str(job.state),
        "rank": job.rank,
        "site": job.site,
        "family": job.family,
        "node": job.node,
        "to_node": job.to_node,
        "ctid": job.ctid,
        "key": job.key,
        "by": job.producer,
        "because": job.because,
        "request": job.request,
        "retry_of": job.retry_of,
        "campaign": job.campaign,
        "customer": job.customer,
        "accepted_at": stamp(job.accepted_at),
        "due_at": stamp(job.due_at),
        "deadline": stamp(job.deadline),
        "ended_at": stamp(job.ended_at),
        "attempts": job.attempts,
        "crashes": job.crashes,
        "worker": job.worker,
        "cancel_asked": job.cancel_asked,
        "step": job.step,
        "progress": job.progress,
        "error": job.error,
        "error_class": job.error_class,
        "order": job.order,
        "result": job.result,
    }


def event_shape(event: Event) -> dict[str, Any]:
    """One move of a job."""
    return move_shape(event, job=event.job_id)


def move_shape(event: Event | CampaignEvent, **of: str) -> dict[str, Any]:
    """One move of whatever it is that moved."""
    return {
        "id": event.id,
        "number": event.number,
        **of,
        "at": stamp(event.at),
        "cause": str(event.cause),
        "state": str(event.state),
        "why": event.why,
        "data": event.data,
    }


def begun_shape(begun: Begun) -> dict[str, Any]:
    """One try of one step."""
    return {
        "step": begun.step,
        "direction": begun.direction,
        "attempt": begun.attempt,
        "node": begun.node,
        "token": begun.token,
        "at": stamp(begun.at),
        "ended_at": stamp(begun.ended_at),
        "outcome": begun.outcome,
        "code": begun.code,
    }


def node_shape(node: Node, *, containers: int, memory_taken: int, disk_taken: int) -> dict[str, Any]:
    """A node with what is taken of it."""
    return {
        "name": node.name,
        "site": node.site,
        "host": node.host,
        "port": node.port,
        "user": node.user,
        "host_key": node.host_key,
        "state": str(node.state),
        "dialect": node.dialect,
        "memory_bytes": node.memory_bytes,
        "memory_taken": memory_taken,
        "disk_bytes": node.disk_bytes,
        "disk_taken": disk_taken,
        "containers": containers,
        "slots": {str(load): node.slots_for(load) for load in DEFAULT_SLOTS},
        "broken_until": stamp(node.broken_until),
        "finding": node.finding,
        "finding_why": node.finding_why,
        "seen_at": stamp(node.seen_at),
        "labels": node.labels,
        "domain": node.domain,
        "proxy": node.proxy,
        "containers_max": node.containers_max,
        "foreign_containers": node.foreign_containers,
        "abilities": node.abilities,
    }


def standing_of(state: str, standing: str) -> str:
    """What people ask first of a container: running, stopped, suspended … or why it is not theirs to ask yet."""
    return str(standing) if state == ContainerState.PRESENT else str(state)


def container_shape(container: Container, addresses: list[str]) -> dict[str, Any]:
    """A container with its addresses."""
    fields = container.model_dump(exclude={"since", "purge_at", "net_seen"})
    return fields | {
        "state": str(container.state),
        "standing": str(container.standing),
        "addresses": addresses,
        "since": stamp(container.since),
        "purge_at": stamp(container.purge_at),
    }


def plan_shape(plan: Plan) -> dict[str, Any]:
    """A plan, sizes in bytes."""
    return plan.model_dump()


def pool_shape(pool: Pool, *, used: int, size: int) -> dict[str, Any]:
    """A pool with how many of its addresses are in use."""
    return pool.model_dump(exclude={"cursor"}) | {"used": used, "size": size}


def token_shape(token: Token) -> dict[str, Any]:
    """A token without its secret."""
    return {
        "name": token.name,
        "scope": str(token.scope),
        "customer": token.customer,
        "created_at": stamp(token.created_at),
        "created_by": token.created_by,
        "expires_at": stamp(token.expires_at),
        "revoked_at": stamp(token.revoked_at),
        "used_at": stamp(token.used_at),
    }


def audit_shape(entry: Audit) -> dict[str, Any]:
    """Who did what."""
    return entry.model_dump() | {"at": stamp(entry.at)}


def hook_shape(hook: Webhook, secret: str | None = None, *, trouble: Trouble | None = None) -> dict[str, Any]:
    """A webhook; its secret only where it is told for the first time."""
    fields = ("id", "url", "events", "customer", "active", "cursor", "created_by")
    failing = {"failing": trouble.deliveries if trouble else 0, "failing_why": trouble.error if trouble else ""}
    return {field: getattr(hook, field) for field in fields} | {"created_at": stamp(hook.created_at), "secret": secret} | failing


def delivery_shape(delivery: Delivery) -> dict[str, Any]:
    """One event on its way to one webhook."""
    fields = ("id", "event", "subject", "sequence", "state", "attempts", "status", "error")
    times = {"due_at": stamp(delivery.due_at), "delivered_at": stamp(delivery.delivered_at)}
    return {field: getattr(delivery, field) for field in fields} | times
