"""How fast a large result file is read, and in how much memory.

A capture of the known service is written again and again, each time with later times and other latencies, until the
file is as large as asked. It is read once to warm the cache, then by a process of its own, whose time, processor time
and largest resident memory are given; all of the reading counts, steps included, the loading of libraries does not.
"""

from __future__ import annotations

import gzip
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.jtl import make_jtl

MEGABYTE = 1_000_000
HEAD = "| file | MB | MB/s | MB/s of processor | peak memory, MB | before reading, MB | requests | steps |"
_LATENCIES = 0.02


def make_k6_rows(loadtests: Path, out: Path, megabytes: int) -> None:
    """Write the rows of k6's capture again and again: times later, durations other by a few percent."""
    with gzip.open(loadtests / "k6_closed" / "closed.csv.gz") as file:
        header, body = file.read().split(b"\n", 1)
    parts = re.split(rb"^([a-z_]+,)(\d{10})(,)([0-9.]+)", body, flags=re.MULTILINE)
    names, rest = parts[1::5], parts[5::5]
    second = np.array(parts[2::5], dtype=np.int64)
    value = np.array(parts[4::5], dtype=np.float64)
    is_time = np.array([b"duration" in name for name in names])
    length = int(second[-1] - second[0]) + 120
    rng = np.random.default_rng(0)
    written = 0
    with out.open("wb") as file:
        file.write(header + b"\n")
        while written < megabytes * MEGABYTE:
            other = np.where(is_time, value * rng.uniform(1 - _LATENCIES, 1 + _LATENCIES, len(value)), value)
            rows = zip(names, second.tolist(), other.tolist(), rest, strict=True)
            written += file.write(b"".join(b"%s%d,%.6f%s" % row for row in rows))
            second += length


FILES: dict[str, tuple[str, Callable[[Path, Path, int], None]]] = {
    "k6 rows": ("k6", make_k6_rows),
    "JMeter CSV": ("jmeter", make_jtl),
}
"""Kind of file to its tool and to what writes a large one: from the folder of captures, to a path, of so many MB."""


def _peak_mb() -> float:
    """Largest resident memory of this process so far; what ``getrusage`` gives a new process has from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def _read(tool: str, path: Path) -> tuple[float, float, float, float, int, int]:
    import pandas as pd
    import pyarrow.csv

    from capacity.loadtest.readers import READERS

    pd.DataFrame({"a": pyarrow.array([1]).to_pandas()})
    before = _peak_mb()
    began, worked = time.perf_counter(), time.process_time()
    reading = READERS[tool].read([path])
    took, processor = time.perf_counter() - began, time.process_time() - worked
    return took, processor, _peak_mb(), before, sum(reading.requests.values()), len(reading.steps)


def measure(tool: str, path: Path) -> str:
    """Read a file in a process of its own; return a line of the table without its first cell."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        took, processor, peak, before, requests, steps = pool.apply(_read, (tool, path))
    size = path.stat().st_size / MEGABYTE
    speed = f"{size / took:.0f} | {size / processor:.0f}"
    return f"{size:.0f} | {speed} | {peak:.0f} | {before:.0f} | {requests:,} | {steps} |"


def run(real_data: Path, *, megabytes: int = 1000) -> str:
    """Run on the folder of real data; return a Markdown table."""
    lines = [HEAD, "|" + "---|" * 8]
    for kind, (tool, make) in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "large")
            make(real_data / "loadtests", path, megabytes)
            lines.append(f"| {kind} | {measure(tool, path)}")
    return "\n".join(lines)
