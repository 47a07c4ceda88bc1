"""A gigabyte of access log into ``traffic``, beside GNU awk that only counts it by second and status."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile",
    "Mozilla/5.0 (compatible; examplebot/2.1; +http://example.com/bot.html)",
)
_PATHS = ("/api/checkout", "/api/cart/add", "/item/7", "/search?q=abc", "/")
_RULE = {"/api/checkout": "checkout", "/api/cart": "cart", "/item": "product-detail", "/search": "search", "/": "home"}
_BLOCK = 100_000


def run(megabytes: int) -> str:
    """Return the table."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "access.log"
        lines = _write(log, megabytes)
        size = log.stat().st_size / 1e6
        rows = ["| what | s | MB/s | peak memory, MB |", "|---|---|---|---|"]
        own = [sys.executable, "-c", f"from benchmarks.access_logs import take_in; take_in({str(log)!r}, {scratch!r})"]
        rows.append(_row(f"capacity: {lines:,} lines into minutes, second peaks, errors, bots", own, size))
        if shutil.which("gawk") or shutil.which("awk"):
            program = '{ n[substr($4, 2) " " $9]++ } END { for (k in n) c++; print c }'
            rows.append(_row("awk: counted by second and status alone", ["awk", program, str(log)], size))
    return "\n".join(rows)


def take_in(log: str, scratch: str) -> None:
    """Take a log in; in a process of its own, so that its memory is known."""
    from capacity.history.access_log import ServiceRule, ingest_access_log

    ingest_access_log(log, rule=ServiceRule(_RULE), workspace_dir=Path(scratch) / "shop", timezone="Asia/Shanghai")


def _row(what: str, command: list[str], size: float) -> str:
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C"})
    _, status, used = os.wait4(child.pid, 0)
    took = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, what
    return f"| {what} | {took:.1f} | {size / took:.0f} | {_peak(used):.0f} |"


def _peak(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1000


def _write(log: Path, megabytes: int) -> int:
    rng, lines = np.random.default_rng(0), 0
    with log.open("w") as file:
        while file.tell() < megabytes * 1e6:
            second = np.sort(rng.integers(0, 60, _BLOCK))
            minute = lines // _BLOCK
            status = rng.choice([200, 404, 500, 429], _BLOCK, p=[0.95, 0.02, 0.01, 0.02])
            path, agent = rng.integers(0, len(_PATHS), _BLOCK), (rng.random(_BLOCK) < 0.03).astype(int)
            file.writelines(
                f"10.1.2.{i % 250} - - [10/Nov/2026:{20 + minute // 60}:{minute % 60:02d}:{second[i]:02d} +0800] "
                f'"GET {_PATHS[path[i]]} HTTP/1.1" {status[i]} 5123 "https://shop.example/home" "{_AGENTS[agent[i]]}"\n'
                for i in range(_BLOCK)
            )
            lines += _BLOCK
    return lines
