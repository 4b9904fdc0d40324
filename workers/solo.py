"""A job under which a worker died runs in a process of its own: if that dies too, the job is the poison and nobody else suffers."""

import asyncio
import signal
import sys

import structlog

log = structlog.get_logger(__name__)
AT_ONCE = 4
PATIENCE_S = 8.0  # less than the dispatch lease; a bell that waits longer is rung again anyway


class Solos:
    """Starts one process a job, a few at once."""

    def __init__(self, *, site: str) -> None:
        self._site = site
        self._places = asyncio.Semaphore(AT_ONCE)
        self._processes: set[asyncio.subprocess.Process] = set()

    async def run(self, job_id: str, token: int) -> None:
        """Run this job alone and wait for the end of its process; how the job ended is in its row."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._places.acquire()
        except TimeoutError:
            return
        try:
            words = ("-m", "workers.main", "--site", self._site, "--solo", job_id, str(token))
            process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=asyncio.subprocess.DEVNULL)
            self._processes.add(process)
            code = await process.wait()
            self._processes.discard(process)
            log.info("solo_ended", job=job_id, code=code)
        finally:
            self._places.release()

    def stop(self) -> None:
        """Tell all to hand over; they end by themselves."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
