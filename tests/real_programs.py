"""Real programs that tests run; one that is absent skips its test and says so."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

RAN: list[str] = []
"""Programs that were asked for and found since the last test ended."""


def real_program(name: str) -> str:
    """Return a program's path, or skip and say what is missing."""
    places = f"{Path(sys.executable).parent}:/usr/sbin:/sbin:/usr/local/sbin"
    found = shutil.which(name) or shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"{name} is not installed: make tools")
    RAN.append(name)
    return found


def real_package(name: str) -> ModuleType:
    """Import a package that stands for a real consumer, or skip and say what is missing."""
    module: ModuleType = pytest.importorskip(name, reason=f"{name} is not installed: make tools")
    RAN.append(name.rsplit(".", maxsplit=1)[-1] if "flagd" not in name else "flagd")
    return module


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def openmetrics(
    traffic: pd.DataFrame, *, every_s: int = 15, latency_bounds_s: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1, 2)
) -> str:
    """Write traffic as the counters that its services would have shown, read every so many seconds.

    Requests arrive evenly inside an interval. ``code`` is 200, 500 (errors) or 429 (rejected); latency is a histogram
    with one bucket that holds everything up to the interval's ``p99_ms``.
    """
    lines = ["# TYPE http_requests counter"]
    for service, rows in traffic.groupby("service"):
        rows = rows.sort_values("ts")
        start = rows["ts"].astype("int64").to_numpy() / {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}[rows["ts"].dt.unit]
        width = np.diff(start, append=start[-1] + np.median(np.diff(start)))
        at = np.arange(start[0], start[-1] + width[-1] + every_s, every_s)
        edges = np.append(start, start[-1] + width[-1])
        errors = rows.get("errors", pd.Series(0, rows.index)).fillna(0).to_numpy(float)
        rejected = rows.get("rejected", pd.Series(0, rows.index)).fillna(0).to_numpy(float)
        ok = rows["requests"].to_numpy(float) - errors - rejected
        for code, counts in (("200", ok), ("500", errors), ("429", rejected)):
            total = np.interp(at, edges, np.concatenate([[0.0], np.cumsum(counts)]))
            name = str(service).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            head = f'http_requests_total{{service="{name}",code="{code}",instance="a"}}'
            lines += [f"{head} {value:.3f} {moment:.0f}" for moment, value in zip(at, total, strict=True)]
    if "instances" in traffic:
        lines.append("# TYPE up gauge")
        for service, rows in traffic.dropna(subset=["instances"]).groupby("service"):
            n = int(rows["instances"].median())
            moments = pd.to_datetime(rows["ts"], utc=True)
            first, last = moments.min().timestamp(), moments.max().timestamp()
            for instance in range(n):
                head = f'up{{service="{service}",instance="{instance}"}}'
                lines += [f"{head} 1 {moment:.0f}" for moment in np.arange(first, last + 60, 60)]
    return "\n".join([*lines, "# EOF", ""])


@contextlib.contextmanager
def running_prometheus(folder: Path, *, metrics: str = "", rules: str = "", config: str = "") -> Iterator[str]:
    """Start a real Prometheus on loopback, filled with samples in OpenMetrics text; give its URL."""
    prometheus, promtool = real_program("prometheus"), real_program("promtool")
    data = folder / "tsdb"
    data.mkdir(parents=True, exist_ok=True)
    if metrics:
        text = folder / "samples.om"
        text.write_text(metrics, encoding="utf-8")
        made = subprocess.run(
            [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert made.returncode == 0, made.stderr[-2000:]
    (folder / "rules.yml").write_text(rules or "groups: []\n", encoding="utf-8")
    (folder / "prometheus.yml").write_text(config or "rule_files: [rules.yml]\n", encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=error",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(f"{url}/-/ready", process, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer: {log.read_text()[-2000:]}")
