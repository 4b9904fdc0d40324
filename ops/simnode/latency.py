"""How long the steps of a simulated node take: facts §11, times one factor, with a little chance."""

import asyncio
import random
import time

SECONDS = {  # measured on the node itself, without the ssh connect
    "postcreate": 0.012,
    "env": 0.03,
    "addresses": 1.10,  # the duplicate-address probe dominates
    "init": 0.06,
    "kill": 1.0,
    "umount": 0.01,
    "destroy": 0.03,
    "apply": 0.03,
    "runscript": 0.5,
    "listing": 0.0,
    "template-download": 0.03,
    "ssh-connect": 0.21,  # from node to node
    "ssh-channel": 0.02,  # one command more on a connection that is open (--ssh-mux)
    "rsync": 0.045,
    "suspend": 0.01,
    "dump": 0.10,
    "undump": 0.17,
    "resume": 0.005,
    "checks": 0.01,
}
PER_SECOND: dict[str, float] = {  # what the recorded nodes moved (migrate-online-200MB.txt)
    "network-kib": 90 << 10,
    "dump-copy-kib": 260 << 10,
    "dump-kib": 500 << 10,
    "undump-kib": 1 << 20,
    "scan-inodes": 60_000,
}


class Latency:
    """Sleeps for a named step; `speed` 0.1 is ten times faster than the recorded nodes, 1 is as recorded."""

    def __init__(self, speed: float, chance: random.Random) -> None:
        self.speed = speed
        self.chance = chance
        self.per_second = dict(PER_SECOND)
        self.base = dict(SECONDS)

    def seconds(self, step: str | float) -> float:
        base = self.base[step] if isinstance(step, str) else step
        return base * self.speed * self.chance.uniform(0.9, 1.1)

    async def of(self, step: str | float) -> None:
        """Take the time of a step named in SECONDS, or of so many seconds at speed 1."""
        await asyncio.sleep(self.seconds(step))

    async def rest_of(self, step: str, began: float) -> None:
        """What is left of a step that began then (monotonic) and was partly real."""
        await asyncio.sleep(max(self.seconds(step) - (time.monotonic() - began), 0))

    def amount(self, what: str, much: float) -> float:
        """Seconds, at speed 1, for so much of a thing in PER_SECOND."""
        return much / self.per_second[what]
