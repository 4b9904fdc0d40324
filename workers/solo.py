"""A job under which a worker died runs in a process that has nothing else in hand: if that dies too, the job is the poison.

A few such processes are kept for a while and given one job after the other; each line to one is a job and its
token, each line back says that the job's run has ended.
"""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process

import structlog

log = structlog.get_logger(__name__)
AT_ONCE = 4
PATIENCE_S = 8.0  # less than the dispatch lease; a bell that waits longer is rung again anyway


class Solos:
    """Gives each job a process of its own, a few at once."""

    def __init__(self, *, site: str) -> None:
        self._site = site
        self._places = asyncio.Semaphore(AT_ONCE)
        self._idle: list[Process] = []
        self._all: set[Process] = set()

    async def run(self, job_id: str, token: int) -> bool:
        """Run this job alone and wait for the end of its run; True when its process died of it, else how it ended is in its row."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._places.acquire()
        except TimeoutError:
            return False
        try:
            process = self._idle.pop() if self._idle else await self._start()
            if await self._ended_well(process, f"{job_id} {token}\n".encode()):
                self._idle.append(process)
                return False
            code = await process.wait()
            self._all.discard(process)
            if code:  # 0: it was told to stop and handed over
                log.warning("solo_died", job=job_id, code=code)
            return code != 0
        finally:
            self._places.release()

    def stop(self) -> None:
        """Tell all to hand over; they end by themselves."""
        for process in self._all:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    async def _start(self) -> Process:
        words = ("-P", "-m", "workers.main", "--site", self._site, "--solo")
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)
        self._all.add(process)
        return process

    @staticmethod
    async def _ended_well(process: Process, line: bytes) -> bool:
        if process.stdin is None or process.stdout is None:
            return False
        try:
            process.stdin.write(line)
            await process.stdin.drain()
            return bool(await process.stdout.readline())
        except ConnectionError:
            return False
