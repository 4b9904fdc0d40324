"""How long the steps of a simulated node take: facts §11, times one factor, with a little chance."""

import asyncio
import random

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
}


class Latency:
    """Sleeps for a named step; `speed` 0.1 is ten times faster than the recorded nodes, 1 is as recorded."""

    def __init__(self, speed: float, chance: random.Random) -> None:
        self.speed = speed
        self.chance = chance

    def seconds(self, step: str | float) -> float:
        base = SECONDS[step] if isinstance(step, str) else step
        return base * self.speed * self.chance.uniform(0.9, 1.1)

    async def of(self, step: str | float) -> None:
        """Take the time of a step named in SECONDS, or of so many seconds at speed 1."""
        await asyncio.sleep(self.seconds(step))
