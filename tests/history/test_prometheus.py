"""Prometheus into traffic: against a real server filled with known counts, and against servers that misbehave."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capacity.errors import CapacityError, InputError, NotCoveredError, UnreachableError, UsageError
from capacity.history import Store
from capacity.history.prometheus import Prometheus, ingest_prometheus
from capacity.settings import Monitoring
from tests.real_programs import openmetrics, running_prometheus

ZONE = "Asia/Shanghai"
NAMES = Monitoring(latency_buckets="")


def made_up(days: int = 2) -> pd.DataFrame:
    """Minutes from local midnight of 2026-11-10, with a hostile name among the services."""
    rng = np.random.default_rng(3)
    ts = pd.date_range("2026-11-09T16:00Z", periods=days * 1440, freq="min")
    parts = []
    for service, mean in (("checkout", 600.0), ('we"ird\\name', 30.0)):
        requests = rng.poisson(mean * (1 + 0.5 * np.sin(np.arange(ts.size) / 200)))
        parts.append(
            pd.DataFrame(
                {
                    "ts": ts,
                    "service": service,
                    "requests": requests,
                    "errors": rng.binomial(requests, 0.01),
                    "rejected": rng.binomial(requests, 0.02),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_a_real_server_gives_back_what_was_counted(tmp_path: Path) -> None:
    truth = made_up()
    with running_prometheus(tmp_path / "server", metrics=openmetrics(truth)) as url:
        report = ingest_prometheus(
            Prometheus(url),
            NAMES,
            first=date(2026, 11, 10),
            last=date(2026, 11, 11),
            workspace_dir=tmp_path,
            timezone=ZONE,
            now=datetime(2026, 11, 20, tzinfo=UTC),
        )
    assert report.rejected.empty
    assert any("peak_qps is unknown" in line for line in report.warnings)
    found = (
        Store(tmp_path, timezone=ZONE)
        .traffic()
        .window(
            datetime(2026, 11, 10, 0, 1, tzinfo=UTC) - timedelta(hours=8), datetime(2026, 11, 11, 15, 59, tzinfo=UTC)
        )
    )
    both = found.merge(truth, on=["ts", "service"], suffixes=("", "_true"))
    assert len(both) >= 2 * 2800
    for column in ("requests", "errors", "rejected"):
        want, got = both[f"{column}_true"].to_numpy(float), both[column].to_numpy(float)
        # Four readings a minute, requests spread evenly between them: growth over a minute is known to rounding.
        assert np.abs(got - want).max() <= 1.0
        assert got.sum() == pytest.approx(want.sum(), rel=1e-3)


def test_a_fetch_that_broke_off_goes_on(tmp_path: Path) -> None:
    days_asked: list[float] = []

    def answer(asked: dict[str, str]) -> tuple[int, object]:
        start = float(asked["start"])
        if "code" in asked["query"] or "up" in asked["query"]:
            return 200, {"status": "success", "data": {"resultType": "matrix", "result": []}}
        days_asked.append(start)
        if len(days_asked) == 2 and not answered:
            return 400, {"status": "error", "error": "too much"}
        point = [start, "5"]
        series = [{"metric": {"service": "a"}, "values": [point, [start + 60, "6"]]}]
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": series}}

    answered: list[bool] = []
    span: dict[str, Any] = {
        "first": date(2026, 11, 1),
        "last": date(2026, 11, 3),
        "workspace_dir": tmp_path,
        "timezone": ZONE,
    }
    with answering(answer) as url:
        with pytest.raises(InputError, match="too much"):
            ingest_prometheus(Prometheus(url), NAMES, **span)
        assert not (tmp_path / "data" / "tables" / "traffic").exists()
        answered.append(True)
        days_asked.clear()
        report = ingest_prometheus(Prometheus(url), NAMES, **span)
    assert len(days_asked) == 2, "the day that was there is not asked for again"
    assert report.days == 3
    assert not list((tmp_path / "data" / "tables").glob(".prometheus-*"))


@pytest.mark.parametrize("env", ["variable", "file"])
def test_a_token_is_sent_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str) -> None:
    secret = "s3cr3t-t0ken"
    if env == "variable":
        monkeypatch.setenv("CAPACITY_PROMETHEUS_TOKEN", secret)
    else:
        (tmp_path / "token").write_text(secret + "\n")
        monkeypatch.setenv("CAPACITY_PROMETHEUS_TOKEN_FILE", str(tmp_path / "token"))
    seen: list[str | None] = []

    def answer(asked: dict[str, str]) -> tuple[int, object]:
        seen.append(asked["Authorization"])
        return 400, {"status": "error", "error": f"bad query, you said {secret}"}

    with answering(answer) as url:
        server = Prometheus.from_environment(url)
        with pytest.raises(InputError) as caught:
            server.query("x", at_s=0)
    assert seen == [f"Bearer {secret}"]
    assert secret not in str(caught.value) + repr(server) + str(server) + repr(caught.value)


def test_a_token_does_not_follow_to_another_address() -> None:
    reached: list[str | None] = []

    def elsewhere(asked: dict[str, str]) -> tuple[int, object]:
        reached.append(asked["Authorization"])
        return 200, {}

    with (
        answering(elsewhere) as other,
        answering(lambda _: (302, other)) as url,
        pytest.raises(UsageError, match="elsewhere"),
    ):
        Prometheus(url, token="t").query("x", at_s=0)
    assert reached == []


@pytest.mark.parametrize("url", ["http://user:pw@host:9090", "ftp://host", "nonsense", "http://"])
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Prometheus(url)
    assert "pw" not in str(caught.value)


def test_a_server_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capacity.history.prometheus.client._FIRST_PAUSE_S", 0.001)
    with pytest.raises(UnreachableError, match="does not answer: Connection refused, 3 times"):
        Prometheus("http://127.0.0.1:9", timeout_s=1).query("x", at_s=0)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"status": "error"}',
        b'{"status": "success"}',
        b'{"status": "success", "data": {}}',
        b"",
    ],
)
def test_an_answer_of_another_kind_is_said(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr("capacity.history.prometheus.client._FIRST_PAUSE_S", 0.001)
    with answering(lambda _: (200, answer)) as url, pytest.raises(UnreachableError, match="not Prometheus's"):
        Prometheus(url).query("x", at_s=0)


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capacity.history.prometheus.client._FIRST_PAUSE_S", 0.001)
    times: list[int] = []

    def answer(_: dict[str, str]) -> tuple[int, object]:
        times.append(1)
        if len(times) < 3:
            return 503, "busy"
        return 200, {"status": "success", "data": {"resultType": "scalar", "result": [7, "1.5"]}}

    with answering(answer) as url:
        assert Prometheus(url).query("x", at_s=7)[0].value.tolist() == [1.5]


def test_long_spans_are_asked_in_pieces_and_joined() -> None:
    spans: list[tuple[float, float]] = []

    def answer(asked: dict[str, str]) -> tuple[int, object]:
        first, last, step = (float(asked[key]) for key in ("start", "end", "step"))
        spans.append((first, last))
        moments = np.arange(first, last + step / 2, step)
        values = [[moment, str(moment)] for moment in moments.tolist()]
        return 200, {
            "status": "success",
            "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]},
        }

    with answering(answer) as url:
        found = Prometheus(url).query_range("x", start_s=0, end_s=25_000, step_s=1)
    assert len(spans) == 3
    assert found[0].at_s.tolist() == list(range(25_001))
    assert np.array_equal(found[0].value, found[0].at_s)


def test_nothing_known_is_said_and_spans_are_checked(tmp_path: Path) -> None:
    empty = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    span: dict[str, Any] = {
        "first": date(2026, 11, 1),
        "last": date(2026, 11, 3),
        "workspace_dir": tmp_path,
        "timezone": ZONE,
    }
    with answering(lambda _: (200, empty)) as url:
        with pytest.raises(NotCoveredError, match="knows no http_requests_total from 2026-11-01"):
            ingest_prometheus(Prometheus(url), NAMES, **span)
        for step in (15.0, 7000.0, 37.0):
            with pytest.raises(UsageError, match="step"):
                ingest_prometheus(Prometheus(url), NAMES, step_s=step, **span)
        with pytest.raises(CapacityError, match="earlier day first"):
            ingest_prometheus(Prometheus(url), NAMES, **(span | {"last": date(2026, 10, 1)}))


Answer = Callable[[dict[str, str]], tuple[int, object]]


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Serve made-up answers on loopback; a status of 302 sends to the address given."""
    from urllib.parse import parse_qsl

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = dict(parse_qsl(body)) | {"Authorization": self.headers.get("Authorization")}
            status, content = answer(asked)  # type: ignore[arg-type]
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", str(content))
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
