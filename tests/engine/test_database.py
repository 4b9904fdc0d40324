"""What one process that stands still does to the others."""

from datetime import timedelta

import pytest

from models.database import AWAY, Database
from models.house import Credit
from models.kinds import Rank

SHORT = timedelta(seconds=0.2)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_writer_that_is_stopped_in_the_middle_loses_its_locks_and_writes_nothing_when_it_goes_on(database_url: str) -> None:
    stopped, other = Database(database_url, idle=SHORT), Database(database_url)
    with other.write() as session:
        session.add(Credit(rank=Rank.ORDER, producer="billing", credit=1))
    with pytest.raises(AWAY), stopped.write() as session:  # noqa: PT012 - which of them raises is the server's choice
        session.get_one(Credit, (Rank.ORDER, "billing"), with_for_update=True).credit = 2
        with other.write() as second:  # waits for the row until the server has taken it from the one who stands still
            second.get_one(Credit, (Rank.ORDER, "billing"), with_for_update=True).credit = 3
    with stopped.read() as session:  # and it can go on
        assert session.get_one(Credit, (Rank.ORDER, "billing")).credit == 3
    stopped.close()
    other.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whoever_reads_or_rebuilds_all_may_take_its_time(database_url: str) -> None:
    database = Database(database_url, idle=SHORT)
    for opened in (database.snapshot, database.rebuild):
        with opened() as connection:
            assert connection.exec_driver_sql("show idle_in_transaction_session_timeout").scalar() == "0"
    database.close()
