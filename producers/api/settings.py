"""What the API reads from the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class CannotServeError(Exception):
    """The port or the certificate cannot be used; says what to do."""


class ApiSettings(BaseSettings):
    """Where it listens, and how much it takes."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    api: str = "127.0.0.1:9080"  # VZQ_API: host:port; port 0: any free one, told in the log; empty: no API in this service
    api_tls_cert: Path | None = None  # VZQ_API_TLS_CERT: PEM file with the certificate and its chain
    api_tls_key: Path | None = None  # VZQ_API_TLS_KEY: PEM file with its key
    api_rate: float = 100.0  # VZQ_API_RATE: requests a second and token; 0: no limit
    api_burst: float = 400.0  # VZQ_API_BURST: requests that may come at once
    password_kept_hours: float = 24.0  # VZQ_PASSWORD_KEPT_HOURS: how long a generated password waits to be fetched

    alert_rules: Path | None = None  # VZQ_ALERT_RULES: YAML file that says what alerts do (ops/docs/alerts.md); None: nothing

    @property
    def password_kept(self) -> timedelta:
        return timedelta(hours=self.password_kept_hours)
