"""One simulated node with a container of each family, and the script run in them as a worker runs it."""

import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.updates import Packages
from ops.simnode.package_book import Book
from tests.simnode.labs import Remote, node_in
from workers.commands import Finished
from workers.openvz.packages import Report, report, upgrade
from workers.openvz.vzctl import Vzctl

JOB = "01JD0000000000000000000000"
TEMPLATES = {
    "apt": "debian-12-x86_64-minbase",
    "yum": "centos-6-x86_64",
    "dnf": "almalinux-9-x86_64",
    "zypper": "opensuse-15.6-x86_64",
    "apk": "alpine-3.18-x86_64",
}
PENDING = {"openssl": {"version": "9.9-r1", "security": True}, "nginx": {"version": "9.8-r1", "security": False}}


@dataclass
class Ward:
    """Containers on one node."""

    remote: Remote
    ctids: dict[str, int]

    async def upgrade(self, family: str, *, check: bool = False, patience_s: float = 0, proxy: str = "", **action: Any) -> Report:
        """What came of it; the whole output is kept in `said`."""
        script = upgrade(Packages(**action), proxy=proxy, check=check, patience=timedelta(seconds=patience_s))
        command = Vzctl().run_script(self.ctids[family], script, JOB)
        answer = await self.remote.run(shlex.join(command.argv), stdin=command.stdin)
        self.said = answer.out + answer.err
        self.told = Vzctl().told(Finished(answer.code or 0, answer.out, answer.err))
        return report(answer.out)

    async def tell(self, family: str, **wanted: object) -> Any:
        return await self.remote.ctl("packages", ctid=self.ctids[family], **wanted)

    def book(self, family: str) -> Book:
        book = Book.read(self.inside(family))
        assert book is not None
        return book

    def inside(self, family: str) -> Path:
        return self.remote.node.sandbox.private(self.ctids[family])


async def settled(remote: Remote, families: Sequence[str]) -> Ward:
    ctids = {family: 301 + place for place, family in enumerate(TEMPLATES) if family in families}
    for family, ctid in ctids.items():
        await remote.ok(f"vzctl create {ctid} --ostemplate {TEMPLATES[family]} --layout simfs")
        await remote.ok(f"vzctl start {ctid}")
    return Ward(remote, ctids)


@pytest.fixture
async def ward(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Ward]:
    """Only of the family that the test names, or all."""
    named = getattr(request.node, "callspec", None)
    families = [named.params["family"]] if named is not None and "family" in named.params else list(TEMPLATES)
    async with node_in(tmp_path / "lab", speed=0.001) as remote:
        yield await settled(remote, families)
