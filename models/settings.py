"""What both sides read from the environment, once, at the edge. Every name begins with VZQ_."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_state() -> Path:
    """Where everything is kept unless VZQ_STATE says otherwise: /var/lib/vzq for root, else the user's own state folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/vzq")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "vzq"


class Settings(BaseSettings):
    """Where things are. Embedded, all of it follows from the state folder; distributed, the URLs are given."""

    # An empty VZQ_STATE would be wherever one is.
    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore", env_ignore_empty=True)

    state: Path = Field(default_factory=default_state)  # VZQ_STATE
    site: str = "main"  # VZQ_SITE: where orders go that name none
    database: str = ""  # VZQ_DATABASE: SQLAlchemy URL; empty: SQLite in the state folder
    database_file: Path | None = None  # VZQ_DATABASE_FILE: a file with that URL, for one with a password
    redis_url: str = ""  # VZQ_REDIS_URL; empty: the embedded server's socket
    redis_url_file: Path | None = None  # VZQ_REDIS_URL_FILE: as VZQ_DATABASE_FILE
    secret_key_file: Path | None = None  # VZQ_SECRET_KEY_FILE; None: secret.key in the state folder
    ssh_key: Path | None = None  # VZQ_SSH_KEY: the management host's private key; None: ssh/id_ed25519 in the state folder

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What stands in files counts as if it had been given; a variable goes before its file."""
        for name in ("database", "redis_url"):
            file = given.get(f"{name}_file")
            if file and not given.get(name):
                try:
                    given[name] = Path(file).read_text().strip()
                except OSError as error:
                    raise ValueError(f"VZQ_{name.upper()}_FILE names {file}, which cannot be read: {error.strerror}") from None
        return given

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.state.absolute() / 'vzq.sqlite'}"

    @property
    def redis_socket(self) -> Path:
        """The embedded server's socket; moved out of the state folder where that path is too long for a socket (107 bytes)."""
        inside = self.state.absolute() / "redis.sock"
        if len(str(inside)) <= 100:
            return inside
        short = hashlib.sha256(str(inside).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"vzq-{os.geteuid()}-{short}" / "redis.sock"

    @property
    def redis(self) -> str:
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def key_file(self) -> Path:
        return self.secret_key_file or self.state / "secret.key"

    @property
    def ssh_key_file(self) -> Path:
        return self.ssh_key or self.state / "ssh" / "id_ed25519"
