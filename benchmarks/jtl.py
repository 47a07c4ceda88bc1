"""A large JTL file: a capture again and again, each time with later times and other latencies."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

MEGABYTE = 1_000_000
_LATENCIES = 0.02
_BETWEEN_MS = 10_000


def make_jtl(loadtests: Path, out: Path, megabytes: int) -> None:
    """Write JMeter's capture so often that it has so many MB: times later, durations shorter by up to two percent."""
    with gzip.open(loadtests / "jmeter" / "steps.jtl.gz") as file:
        header, *rows = file.read().rstrip(b"\n").split(b"\n")
    cells = [row.split(b",", 2) for row in rows]
    stamp, elapsed = (np.array([c[k] for c in cells], dtype=np.int64) for k in (0, 1))
    rest = [c[2] for c in cells]
    length = int(stamp[-1] - stamp[0]) + _BETWEEN_MS
    rng = np.random.default_rng(0)
    written = 0
    with out.open("wb") as file:
        file.write(header + b"\n")
        while written < megabytes * MEGABYTE:
            # Shorter only: a thread's samples must not overlap.
            other = (elapsed * rng.uniform(1 - _LATENCIES, 1, len(elapsed))).astype(np.int64)
            lines = zip(stamp.tolist(), other.tolist(), rest, strict=True)
            written += file.write(b"".join(b"%d,%d,%s\n" % line for line in lines))
            stamp += length
