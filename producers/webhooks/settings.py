"""What webhooks read from the environment."""

from ipaddress import ip_network

from pydantic_settings import BaseSettings, SettingsConfigDict

from producers.webhooks.aim import Network


class WebhookSettings(BaseSettings):
    """Where they may be aimed."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    webhook_networks: str = ""  # VZQ_WEBHOOK_NETWORKS: internal networks they may reach after all, e.g. "10.1.0.0/16,127.0.0.1/32"

    @property
    def networks(self) -> list[Network]:
        """Raises ValueError for what is no network."""
        return [ip_network(word.strip()) for word in self.webhook_networks.split(",") if word.strip()]
