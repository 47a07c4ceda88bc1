"""Open-loop load on loopback, bounded in count and time, and a backend that counts what reaches it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.real_programs import free_port

MOST_REQUESTS = 8_000
_CONNECTIONS = 64


class Backend:
    """Answers 200 to everything, and remembers when."""

    def __init__(self) -> None:
        self.port = free_port()
        self.at_s: list[float] = []
        self._ready, self._writers = threading.Event(), set[asyncio.StreamWriter]()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._answer, "127.0.0.1", self.port):
            self._ready.set()
            await self._over.wait()
            for writer in self._writers:
                writer.close()
            await asyncio.sleep(0.05)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.at_s.append(time.monotonic())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)


@contextlib.contextmanager
def backend() -> Iterator[Backend]:
    one = Backend()
    try:
        yield one
    finally:
        one.close()


@dataclass(frozen=True)
class Played:
    """What was asked when, and how it was answered."""

    at_s: NDArray[np.float64]
    status: NDArray[np.int64]

    def rate(self, status: int | None, start_s: float, end_s: float) -> float:
        """Return requests a second answered so between two moments; of any answer when None."""
        inside = (self.at_s >= start_s) & (self.at_s < end_s)
        chosen = inside if status is None else inside & (self.status == status)
        return float(chosen.sum() / (end_s - start_s))

    def most_in(self, window_s: float) -> int:
        """Return the most requests let through within any window of a length."""
        ok = np.sort(self.at_s[self.status == 200])
        ends = np.searchsorted(ok, ok + window_s, side="left")
        return int((ends - np.arange(ok.size)).max(initial=0))


def play(
    port: int, rate_qps: float, seconds: float, *, path: str = "/", headers: Sequence[str] = (), seed: int = 0
) -> Played:
    """Send requests at the moments of a Poisson process, whatever the answers take."""
    rng = np.random.default_rng(seed)
    n = int(rate_qps * seconds)
    assert n <= MOST_REQUESTS
    due = np.sort(rng.uniform(0.0, seconds, n))
    lines = "".join(f"{line}\r\n" for line in headers)
    request = (
        f"GET {path} HTTP/1.1\r\n{lines if 'Host:' in lines else 'Host: test' + chr(13) + chr(10) + lines}\r\n".encode()
    )
    return asyncio.run(_send(port, due, request))


async def _send(port: int, due: NDArray[np.float64], request: bytes) -> Played:
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    begin = time.monotonic()
    at = np.zeros(due.size)
    status = np.zeros(due.size, dtype=np.int64)

    async def one(i: int) -> None:
        await asyncio.sleep(max(due[i] - (time.monotonic() - begin), 0.0))
        pair = await idle.get()
        at[i] = time.monotonic() - begin
        try:
            status[i] = await asyncio.wait_for(_ask(*pair, request), 10)
            idle.put_nowait(pair)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            status[i] = -1
            pair[1].close()
            idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))

    await asyncio.gather(*(one(i) for i in range(due.size)))
    while not idle.empty():
        writer = idle.get_nowait()[1]
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return Played(at, status)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
    if fields.get("transfer-encoding") == "chunked":
        while int((await reader.readuntil(b"\r\n")).strip(), 16):
            await reader.readuntil(b"\r\n")
        await reader.readuntil(b"\r\n")
    else:
        await reader.readexactly(int(fields.get("content-length", 0)))
    if fields.get("connection") == "close":
        raise ConnectionError("the server closed it")
    return int(lines[0].split()[1])
