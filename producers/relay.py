"""Event numbers, given in the order of commits, so that a reader who resumes from a number misses nothing.

The database's own ids will not do: on PostgreSQL a transaction may take a lower id and commit later, behind the
back of a reader who has passed it. Numbers are given to what is committed, by one at a time.
"""

from sqlalchemy import text
from sqlmodel import Session

from models.house import Counter

AT_ONCE = 5000
NUMBER = """
    update {table} set number = fresh.number
    from (select id, :base + row_number() over (order by id) as number from {table} where number is null order by id limit :limit) as fresh
    where {table}.id = fresh.id
"""
NUMBERED = ("event", "campaignevent")  # each has a counter of its name
STATEMENTS = {table: text(NUMBER.format(table=table)) for table in NUMBERED}


def number_events(session: Session) -> int:
    """Number what was committed since the last time; call it under the dispatch lock. How many there were (indexes …_unnumbered)."""
    return sum(_number(session, table) for table in NUMBERED)


def _number(session: Session, table: str) -> int:
    counter = session.get(Counter, table, with_for_update=True) or Counter(name=table, value=0)
    count: int = session.execute(STATEMENTS[table], {"base": counter.value, "limit": AT_ONCE}).rowcount  # type: ignore[attr-defined]
    if count:
        counter.value += count
        session.add(counter)
    return count
