"""A real browser: Debian's Chromium, driven by Playwright; everything it says in its console is kept."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
AXE = Path(__file__).parents[1] / "data" / "axe" / "axe.min.js"
SERIOUS = {"serious", "critical"}


def missing(what: str) -> None:
    """Skips, loudly; fails where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"THE PAGE IS NOT TESTED IN A BROWSER: there is no {what}")
    pytest.skip(f"THE PAGE IS NOT TESTED IN A BROWSER: there is no {what}")


@dataclass
class Seat:
    """Somebody before a browser."""

    tab: Any
    url: str
    said: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Keep what goes wrong in the page."""
        self.tab.on("console", lambda line: self.said.append(f"{line.type}: {line.text}") if line.type in {"error", "warning"} else None)
        self.tab.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.tab.on("requestfailed", self._failed)

    def enter(self, secret: str) -> None:
        """As a person does it."""
        self.tab.goto(f"{self.url}/login")
        self.tab.get_by_label("API token").fill(secret)
        self.tab.get_by_role("button", name="Log in").click()
        self.tab.wait_for_url(f"{self.url}/")

    def _failed(self, request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # whoever goes on to another page leaves streams and pictures behind
            self.said.append(f"failed: {request.url} {request.failure}")

    def look_at(self, path: str) -> None:
        """Go there; styles and scripts are in effect."""
        self.tab.goto(f"{self.url}{path}", wait_until="domcontentloaded")

    def faults(self, *rules: str) -> list[str]:
        """What axe finds serious on the page that is shown; by these rules alone where some are named."""
        options = {"runOnly": list(rules)} if rules else {}
        found = self.tab.evaluate(f"async (options) => {{ {AXE.read_text()}; return (await axe.run(options)).violations }}", options)
        return [
            f"{self.tab.url}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
            for one in found
            if one["impact"] in SERIOUS
        ]
