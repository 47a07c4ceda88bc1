"""Counters in text files: resets, gaps, selectors, and the same counts that a real Prometheus gives."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.cli.main import run
from capacity.errors import CapacityError, InputError, NotCoveredError, UsageError
from capacity.history.prometheus.openmetrics import parse_selector, read_openmetrics
from capacity.settings import Monitoring
from capacity.workspace import Workspace
from tests.real_programs import openmetrics

START = datetime(2026, 11, 10, 12, tzinfo=UTC)
NAMES = Monitoring()


def written(folder: Path, lines: list[str], *, ended: bool = True) -> Path:
    path = folder / "metrics.om"
    path.write_text("\n".join([*lines, *(["# EOF"] if ended else []), ""]))
    return path


def counter(
    values: list[float], *, every_s: int = 15, code: str = "200", service: str = "a", ms: bool = False
) -> list[str]:
    at = [START.timestamp() + every_s * i for i in range(len(values))]
    stamp = [f"{moment * 1000:.0f}" if ms else f"{moment:.0f}" for moment in at]
    head = f'http_requests_total{{service="{service}",code="{code}"}}'
    return [f"{head} {value} {moment}" for value, moment in zip(values, stamp, strict=True)]


def test_counts_are_those_that_were_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ts = pd.date_range(START, periods=120, freq="min")
    parts = []
    for service in ("checkout", "cart"):
        requests = rng.poisson(500, ts.size)
        parts.append(
            pd.DataFrame(
                {
                    "ts": ts,
                    "service": service,
                    "requests": requests,
                    "errors": rng.binomial(requests, 0.02),
                    "rejected": rng.binomial(requests, 0.05),
                }
            )
        )
    truth = pd.concat(parts, ignore_index=True)
    path = tmp_path / "all.om"
    path.write_text(openmetrics(truth))
    both = read_openmetrics(path, NAMES).merge(truth, on=["ts", "service"], suffixes=("", "_true"))
    assert len(both) == len(truth)
    for column in ("requests", "errors", "rejected"):
        assert np.abs(both[column] - both[f"{column}_true"]).max() <= 1


@pytest.mark.parametrize("ms", [False, True])
def test_a_counter_that_fell_began_anew(tmp_path: Path, ms: bool) -> None:
    lines = ["# TYPE http_requests counter" if not ms else "# TYPE http_requests_total counter"]
    lines += counter([1000, 1010, 1020, 5, 15, 25, 35, 45, 55], ms=ms)
    rows = read_openmetrics(written(tmp_path, lines, ended=not ms), NAMES)
    assert rows["requests"].tolist() == [10 + 10 + 5 + 10, 40]


def test_a_gap_is_unknown_not_small(tmp_path: Path) -> None:
    values = [10.0 * i for i in range(60)]
    lines = ["# TYPE http_requests counter", *(line for i, line in enumerate(counter(values)) if not 20 <= i < 40)]
    rows = read_openmetrics(written(tmp_path, lines), NAMES)
    minutes = [round((moment - START).total_seconds() / 60) for moment in rows["ts"]]
    assert minutes == [0, 1, 2, 3, 10, 11, 12, 13]
    assert set(rows["requests"]) == {40}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no metrics at all", "no text of metrics"),
        ('http_requests_total{service="a"} 5\n', "has no timestamp"),
        ('other{service="a"} 5 1000\n', "holds no counter"),
    ],
)
def test_what_is_none_is_said(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.om"
    path.write_text(text)
    with pytest.raises((InputError, NotCoveredError)) as caught:
        read_openmetrics(path, NAMES)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["sum(x)", 'x{a="1"', "x{a=1}", ""])
def test_a_selector_that_is_more_than_one_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no plain selector"):
        parse_selector(text)


def test_the_command_takes_it_in(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path / "shop")]) == 0
    path = written(tmp_path, ["# TYPE http_requests counter", *counter([10.0 * i for i in range(20)])])
    assert run(["-w", str(tmp_path / "shop"), "ingest", str(path), "--as", "openmetrics"]) == 0
    rows = Workspace(tmp_path / "shop").traffic().window(START, START + timedelta(hours=1))
    assert set(rows["requests"]) == {40}
    with pytest.raises(CapacityError):
        Workspace(tmp_path / "shop").ingest_openmetrics("nowhere")
