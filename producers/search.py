"""Finding containers by whatever somebody has at hand."""

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select

from models.fleet import Address, Container

ID_MAX = 2_147_483_647


def fits(text: str) -> ColumnElement[bool]:
    """Containers with this id or address, or with this in name, host name or customer; small and capital letters are the same."""
    text = text.strip()
    conditions = [col(column).icontains(text, autoescape=True) for column in (Container.hostname, Container.name, Container.customer)]
    if text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) and int(text) <= ID_MAX:
        conditions.append(col(Container.ctid) == int(text))
    holders = select(Address.ctid).where(Address.address == text.lower(), col(Address.ctid).is_not(None))
    return or_(*conditions, col(Container.ctid).in_(holders))
