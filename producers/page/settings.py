"""What the page reads from the environment."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class PageSettings(BaseSettings):
    """Whether there is one, and how it is reached."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    page: bool = True  # VZQ_PAGE: serve the operators' page beside the API
    page_url: str = ""  # VZQ_PAGE_URL: how browsers reach it where a proxy stands before it, e.g. https://vzq.example.net
    page_console: bool = True  # VZQ_PAGE_CONSOLE: consoles in the browser
    page_recheck_s: float = 5.0  # VZQ_PAGE_RECHECK_S: how long a live page or a console may go on after its token was revoked
