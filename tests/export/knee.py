"""A small service with a known knee: sixteen slots, one queue, HTTP/1.1, and exact books."""

from __future__ import annotations

import asyncio
import heapq
import random
import threading
from dataclasses import dataclass, field
from typing import Self

import numpy as np

SLOTS = 16
LOW_S, HIGH_S = 0.060, 0.120
"""A request keeps a slot for a time drawn evenly from this range: 90 ms on average, 178 requests/s at most.

So long that a busy machine's delays of some milliseconds hardly matter.
"""

PUNCTUAL_S = 0.005
"""By so much any machine wakes late."""


@dataclass
class KneeService:
    """The service in a thread of its own; use it as a context.

    Attributes
    ----------
    held_s
        How long each request kept its slot, as the service itself measured it.
    failing
        Share of requests that are answered with an error.
    closing
        Whether it hangs up instead of answering.
    connections
        How many were made.
    stood_still_share
        Share of the time by which the machine woke the service too late.
    """

    failing: float = 0.0
    closing: bool = False
    held_s: list[float] = field(default_factory=list)
    port: int = 0
    connections: int = 0
    stood_still_share: float = 0.0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._random = random.Random(7)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._slots = asyncio.Semaphore(SLOTS)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        self._beat = self._loop.create_task(self._watch())
        ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _watch(self) -> None:
        begun, late_s = self._loop.time(), 0.0
        while True:
            due = self._loop.time() + 0.02
            await asyncio.sleep(0.02)
            now = self._loop.time()
            late_s += max(now - due - PUNCTUAL_S, 0.0)
            self.stood_still_share = late_s / (now - begun)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if self.closing:
                    return
                async with self._slots:
                    begun = self._loop.time()
                    await asyncio.sleep(self._random.uniform(LOW_S, HIGH_S))
                    self.held_s.append(self._loop.time() - begun)
                bad = self._random.random() < self.failing
                line = b"HTTP/1.1 500 No\r\n" if bad else b"HTTP/1.1 200 OK\r\n"
                writer.write(line + b"Content-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def latencies_s(
    rate_qps: float, held_s: np.ndarray, *, slots: int = SLOTS, n: int = 150_000, seed: int = 3
) -> np.ndarray:
    """Play the queue by its definition: Poisson arrivals, first in first out, times drawn from what was measured."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1.0 / rate_qps, n)).tolist()
    service = rng.choice(held_s, n).tolist()
    free = [0.0] * slots
    taken = []
    for at, needs in zip(arrivals, service, strict=True):
        done = max(at, heapq.heappop(free)) + needs
        heapq.heappush(free, done)
        taken.append(done - at)
    return np.array(taken[n // 20 :])


def capacity_qps(held_s: np.ndarray, *, limit_s: float, share: float, slots: int = SLOTS) -> float:
    """Rate at which the latency percentile meets the limit, by halving."""
    most = slots / float(np.mean(held_s))
    low, high = 0.5 * most, 0.995 * most
    for _ in range(9):
        middle = (low + high) / 2
        inside = np.quantile(latencies_s(middle, held_s, slots=slots), share) <= limit_s
        low, high = (middle, high) if inside else (low, middle)
    return (low + high) / 2
