"""What the rows say of containers and addresses, in a form that can be compared."""

from typing import Any

from sqlmodel import Session, select

from models.fleet import Address, Container

Books = tuple[dict[int, dict[str, Any]], dict[str, tuple[int | None, str | None, bool]]]
PASSING = {"disk_used_bytes", "since", "purge_at"}  # of a container's row: changes with time, not by orders


def books(session: Session) -> Books:
    """All containers and who holds which address."""
    rows, addresses = session.exec(select(Container)).all(), session.exec(select(Address)).all()
    return (
        {row.ctid: row.model_dump(exclude=PASSING) for row in rows},
        {row.address: (row.ctid, row.job_id, row.removing) for row in addresses},
    )
