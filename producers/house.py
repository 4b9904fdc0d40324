"""The composition root of this side: from settings to database, vault, intake and bell."""

from dataclasses import dataclass

from models.clock import Clock, SystemClock
from models.database import Database
from models.ids import JobIds
from models.settings import Settings
from models.vault import Vault
from producers.bell import Bell
from producers.intake import Intake


@dataclass(frozen=True)
class House:
    """What every producer works with; made once per process."""

    settings: Settings
    clock: Clock
    database: Database
    vault: Vault
    intake: Intake
    bell: Bell

    def close(self) -> None:
        """Give all connections back."""
        self.bell.close()
        self.database.close()


def open_house(settings: Settings, *, clock: Clock | None = None) -> House:
    """Connects to nothing yet; the database and Redis are met at first use."""
    clock = clock or SystemClock()
    database = Database(settings.database_url, clock=clock)
    vault = Vault(settings.key_file)
    intake = Intake(database, vault=vault, ids=JobIds(clock), site=settings.site)
    return House(settings, clock, database, vault, intake, Bell(settings.redis))
