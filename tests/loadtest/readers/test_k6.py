"""k6: rows, points and summaries against a simulated service and against the capture of the known one."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.k6 import NAME, read
from capacity.loadtest.readers.k6.lines import WantedRows
from capacity.loadtest.run import judge
from tests.loadtest.readers.simulated import BEGAN_S, Requests, by_the_clock, closed

HEADER = (
    "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,name,scenario,status,extra_tags"
)
FORMATS = {"unix": 1.0, "unix_milli": 1e3, "unix_micro": 1e6, "unix_nano": 1e9}


def rows_of(
    requests: Requests,
    *,
    unit: float = 1.0,
    status: object = 200,
    users: dict[float, float] | None = None,
    dropped: dict[float, int] | None = None,
    scenario: str = "default",
    header: str = HEADER,
) -> str:
    """Write requests as k6 does: all samples of a request together, gauges between them."""
    columns = header.split(",")
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    codes = np.broadcast_to(status, requests.start_s.shape)
    pending = sorted(
        [(at, "vus", value) for at, value in (users or {}).items()]
        + [(at, "dropped_iterations", float(value)) for at, value in (dropped or {}).items()]
    )
    for end, latency, code in zip(requests.end_s, requests.latency_s, codes, strict=True):
        while pending and pending[0][0] <= end:
            at, metric, value = pending.pop(0)
            writer.writerow({"metric_name": metric, "timestamp": int(at * unit), "metric_value": value})
        tags = {"name": "/work", "scenario": scenario, "status": code, "timestamp": int(end * unit)}
        tags["expected_response"] = "true" if 200 <= int(code) < 400 else "false"
        for metric, value in (
            ("http_reqs", 1.0),
            ("http_req_duration", 1e3 * latency),
            ("http_req_waiting", 1e3 * latency),
            ("http_req_failed", float(tags["expected_response"] == "false")),
            ("iteration_duration", 1e3 * latency),
            ("iterations", 1.0),
        ):
            writer.writerow({**tags, "metric_name": metric, "metric_value": f"{value:.6f}"})
    return out.getvalue()


def users_of(steps: tuple[int, ...], step_s: int) -> dict[float, float]:
    return {BEGAN_S + k * step_s + s: float(n) for k, n in enumerate(steps) for s in range(step_s)}


def points_of(rows: str) -> str:
    """Write CSV rows as JSON lines."""
    lines = [json.dumps({"type": "Metric", "data": {"name": "http_reqs", "type": "counter"}, "metric": "http_reqs"})]
    for row in csv.DictReader(io.StringIO(rows)):
        time = np.datetime64(int(row["timestamp"]), "ms").astype(str) + "Z"
        tags = {k: v for k, v in row.items() if v and k not in ("metric_name", "timestamp", "metric_value")}
        data = {"time": time, "value": float(row["metric_value"]), "tags": tags or None}
        lines.append(json.dumps({"metric": row["metric_name"], "type": "Point", "data": data}))
    return "\n".join(lines) + "\n"


USERS = (1, 2, 4, 8, 12)
CLOSED = closed(USERS, step_s=12.0)
OPEN_RATES = (20.0, 40.0, 60.0, 80.0)
OPEN = by_the_clock(OPEN_RATES, step_s=15.0)


@pytest.mark.parametrize("form", FORMATS)
def test_steps_of_users(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out.csv"
    path.write_text(rows_of(CLOSED, unit=FORMATS[form], users=users_of(USERS, 12)))
    assert recognize(path).NAME == NAME
    reading = read([path])
    assert reading.steps["concurrency"].tolist() == list(USERS)
    assert reading.steps["offered_qps"].isna().all()
    # Four slots of 50 ms: 20/s a slot until they are full.
    np.testing.assert_allclose(reading.steps["achieved_qps"], [20, 40, 80, 80, 80], rtol=0.08)
    assert {g.verdict for g in judge(reading) if g.name == "littles_law"} == {"ok"}
    assert reading.requests == {"/work": len(CLOSED.start_s)}
    assert reading.broken == ()
    assert reading.errors_counted is False


def test_points_and_rows_agree(tmp_path: Path) -> None:
    rows = rows_of(CLOSED, unit=1e3, users=users_of(USERS, 12))
    (tmp_path / "a.csv").write_text(rows)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(points_of(rows).encode()))
    assert recognize(tmp_path / "a.json.gz").NAME == NAME
    one, other = read([tmp_path / "a.csv"]), read([tmp_path / "a.json.gz"])
    np.testing.assert_allclose(one.steps, other.steps, rtol=1e-6)
    assert one.requests == other.requests
    both = read([tmp_path / "a.json.gz", tmp_path / "a.csv"])
    assert both.steps.equals(one.steps)
    assert "not counted twice" in both.notes[0]


def test_generators_at_once_add_up(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(rows_of(CLOSED, unit=1e3, users=users_of(USERS, 12)))
    steps = read(sorted(tmp_path.iterdir())).steps
    assert steps["concurrency"].tolist() == [2 * users for users in USERS]
    np.testing.assert_allclose(steps["achieved_qps"], 2 * np.array([20, 40, 80, 80, 80]), rtol=0.08)


def test_a_run_too_short_for_a_step_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows_of(CLOSED).splitlines()[:7]))
    with pytest.raises(InputError, match="no stretch of steady load"):
        read([path])


def test_columns_in_another_order_and_fewer(tmp_path: Path) -> None:
    header = "metric_value,status,metric_name,timestamp"
    path = tmp_path / "a.csv"
    path.write_text(rows_of(CLOSED, users=users_of(USERS, 12), header=header))
    assert read([path]).steps["concurrency"].tolist() == list(USERS)


@pytest.mark.parametrize(
    "header", [HEADER, "metric_name,timestamp,metric_value,status", "metric_name,timestamp,metric_value"]
)
def test_failures_by_tag_or_by_the_metric(tmp_path: Path, header: str) -> None:
    status = np.where(np.arange(len(CLOSED.start_s)) % 4 == 0, 503, 200)
    path = tmp_path / "a.csv"
    path.write_text(rows_of(CLOSED, status=status, users=users_of(USERS, 12), header=header))
    steps = read([path]).steps
    np.testing.assert_allclose(steps["error_fraction"], 0.25, atol=0.01)
    np.testing.assert_allclose(steps["achieved_qps"], 0.75 * np.array([20, 40, 80, 80, 80]), rtol=0.08)


def test_an_arrival_rate_is_told_by_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    seconds = round(15 * len(OPEN_RATES))
    path.write_text(rows_of(OPEN, unit=1e6, users={BEGAN_S + s: 50.0 for s in range(seconds)}))
    reading = read([path])
    assert any("by the clock" in note for note in reading.notes)
    np.testing.assert_allclose(reading.steps["offered_qps"], OPEN_RATES, rtol=0.02)


def test_an_arrival_rate_is_told_by_users_that_stand_still(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(rows_of(OPEN, users={BEGAN_S + s: 50.0 for s in range(60)}))
    reading = read([path])
    assert any("rate changes while the number of users does not" in note for note in reading.notes)
    np.testing.assert_allclose(reading.steps["offered_qps"], OPEN_RATES, rtol=0.02)


def test_an_arrival_rate_is_told_by_users_that_go_up_and_down(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    busy = np.random.default_rng(0).poisson(3.0, 60)
    path.write_text(rows_of(OPEN, users={BEGAN_S + s: float(n) for s, n in enumerate(busy)}))
    reading = read([path])
    assert any("goes up and down" in note for note in reading.notes)
    np.testing.assert_allclose(reading.steps["offered_qps"], OPEN_RATES, rtol=0.02)


def test_users_who_think_are_no_arrival_rate(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = []
    for k, users in enumerate((5, 10, 20)):
        for _ in range(users):
            at = BEGAN_S + 20 * k + rng.uniform(0, 1)
            while at < BEGAN_S + 20 * (k + 1) - 0.1:
                rows.append((at, 0.05))
                at += 0.05 + rng.exponential(0.5)
    start, latency = np.array(sorted(rows, key=sum)).T
    path = tmp_path / "a.csv"
    requests = Requests(start, latency, latency)
    path.write_text(rows_of(requests, unit=1e3, users=users_of((5, 10, 20), 20)))
    reading = read([path])
    assert reading.steps["offered_qps"].isna().all()
    assert [g.name for g in reading.gates].count("users_think") == 3


def test_dropped_iterations_are_asked_and_the_step_is_called_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    dropped = {BEGAN_S + 45 + s + 0.5: 20 for s in range(15)}
    path.write_text(rows_of(OPEN, unit=1e3, users={BEGAN_S + s: 50.0 for s in range(60)}, dropped=dropped))
    reading = read([path])
    np.testing.assert_allclose(reading.steps["offered_qps"], [20, 40, 60, 100], rtol=0.02)
    np.testing.assert_allclose(reading.steps["achieved_qps"], OPEN_RATES, rtol=0.02)
    (gate,) = [g for g in reading.gates if g.name == "closed_step_posing_as_open"]
    assert (gate.verdict, gate.step) == ("flagged", 3)
    assert gate.value == pytest.approx(0.2, abs=0.01)


def test_scenarios_in_turn_are_steps_and_at_once_a_mix(tmp_path: Path) -> None:
    # The same rate in both: only their names tell the steps apart.
    one = by_the_clock((50.0,), step_s=20.0)
    other = Requests(one.start_s + 20.0, one.latency_s, one.users)
    both = rows_of(one, scenario="a") + rows_of(other, scenario="b").split("\n", 1)[1]
    (tmp_path / "turn.csv").write_text(both)
    assert len(read([tmp_path / "turn.csv"]).steps) == 2
    at_once = rows_of(one, scenario="a") + rows_of(one, scenario="b").split("\n", 1)[1]
    (tmp_path / "once.csv").write_text(at_once)
    reading = read([tmp_path / "once.csv"])
    assert len(reading.steps) == 1
    assert reading.steps["offered_qps"][0] == pytest.approx(100, rel=0.02)
    assert any("a 50%, b 50%" in note for note in reading.notes)


def test_setup_is_no_load_and_only_some_requests_are_kept(tmp_path: Path) -> None:
    rows = rows_of(CLOSED, users=users_of(USERS, 12))
    rows += f"http_req_duration,{BEGAN_S - 30:.0f},5000,,,,true,::setup,/login,,200,\n"
    path = tmp_path / "a.csv"
    path.write_text(rows)
    assert read([path]).started_s == BEGAN_S - 1 or read([path]).started_s == BEGAN_S
    assert read([path], only=["/work"]).requests == {"/work": len(CLOSED.start_s)}
    with pytest.raises(InputError, match="none of /other among /work"):
        read([path], only=["/other"])


def test_grpc_and_what_is_neither(tmp_path: Path) -> None:
    rows = rows_of(CLOSED, users=users_of(USERS, 12), status=0).replace(",true,", ",,").replace(",false,", ",,")
    grpc = tmp_path / "grpc.csv"
    grpc.write_text(rows.replace("http_req_duration", "grpc_req_duration").replace("http_req_", "grpc_x_"))
    np.testing.assert_allclose(read([grpc]).steps["error_fraction"], 0.0)
    other = tmp_path / "other.csv"
    other.write_text(rows.replace("http_req_", "redis_"))
    reading = read([other])
    assert "counts iterations" in " ".join(reading.notes)
    assert reading.steps["concurrency"].tolist() == list(USERS)


def test_cells_with_line_breaks_and_quotes_that_are_not_closed() -> None:
    data = b'metric_name,v,error\nvus,1,"a\nb"\nhttp_x,2,"\nvus,3,"broken\nvus,4,\n'
    stream = WantedRows(io.BytesIO(data), [b"vus"])
    assert stream.read() == b'metric_name,v,error\nvus,1,"a\nb"\nvus,4,\n'
    assert stream.unclosed == 1


def test_rows_that_do_not_fit_are_shown_and_the_rest_read(tmp_path: Path) -> None:
    lines = rows_of(CLOSED, users=users_of(USERS, 12)).splitlines()
    lines[40:40] = ["http_req_duration,1700000003", "http_req_duration,soon,50,,,,true,,/work,default,200,"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    reading = read([path])
    assert reading.steps["concurrency"].tolist() == list(USERS)
    assert ["http_req_duration,1700000003" in problem.got for problem in reading.broken] == [True, False]
    assert reading.broken[1].got == "1 rows without it"


def test_a_file_cut_off_gives_what_stands_before(tmp_path: Path) -> None:
    whole = gzip.compress(rows_of(CLOSED, users=users_of(USERS, 12)).encode())
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    reading = read([path])
    assert reading.steps["concurrency"].tolist()[:3] == list(USERS)[:3]
    assert reading.broken


@pytest.mark.parametrize("name", ["closed.csv.gz", "closed.json.gz"])
def test_the_known_service(shared_data: Path, name: str) -> None:
    folder = shared_data / "loadtests" / "k6_closed"
    reading = read([folder / name])
    steps = reading.steps
    assert steps["concurrency"].tolist() == [1, 2, 4, 8, 12, 16, 24, 32, 48, 64]
    assert 147.0 * 0.97 < steps["achieved_qps"].max() < 148.3 * 1.03
    crossed = np.interp(300.0, steps["p95_ms"][5:], steps["concurrency"][5:])
    assert 28 <= crossed <= 32
    assert {g.verdict for g in judge(reading) if g.name == "littles_law"} == {"ok"}
    # Against k6's own summary of the whole run: as many requests, and its mean between those of the steps.
    summary = json.loads((folder / "closed_summary_export.json").read_text())["metrics"]
    assert reading.requests == {"/work": summary["http_reqs"]["count"]}
    weighted = np.average(steps["mean_ms"], weights=steps["achieved_qps"] * steps["seconds"])
    assert weighted == pytest.approx(summary["http_req_duration"]["avg"], rel=0.02)
