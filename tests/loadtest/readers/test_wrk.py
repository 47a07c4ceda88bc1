"""wrk and wrk2: what they print, and the known service."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.wrk import NAME, read
from capacity.loadtest.run import judge


def wrk(connections: int, *, threads: int = 2, requests: int = 6000, more: str = "") -> str:
    return f"""Running 1m test @ http://127.0.0.1:8080/
  {threads} threads and {connections} connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    50.00ms   13.72ms   1.46s    78.02%
    Req/Sec     1.37k   802.29     3.41k    67.50%
  Latency Distribution
     50%  900.00us
     75%   55.10ms
     90%   60.00ms
     99%    1.20s
  {requests} requests in 1.00m, 37.27MB read
{more}Requests/sec:    {requests / 60:.2f}
Transfer/sec:      1.21MB
"""


def wrk2(*, p50: str = "2.68ms", command: str = "", title: str = "Recorded Latency") -> str:
    return f"""{command}Running 30s test @ http://localhost:8080
  4 threads and 96 connections
  Thread calibration: mean lat.: 1.423ms, rate sampling interval: 10ms
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.00ms    1.72ms  12.92ms   78.02%
    Req/Sec     1.37k   802.29     3.41k    67.50%
  Latency Distribution (HdrHistogram - {title})
 50.000%    {p50}
 75.000%    3.71ms
 90.000%    4.47ms
 99.000%    5.43ms
100.000%    7.01ms

  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       0.264     0.000000            1         1.00
       2.680     0.500000        30000         2.00
       4.470     0.900000        54000        10.00
       5.000     0.960000        57600        25.00
       5.430     0.990000        59400       100.00
       7.010     1.000000        60000          inf
#[Mean    =        3.000, StdDeviation   =        1.836]
----------------------------------------------------------
  60000 requests in 30.00s, 15.23MB read
Requests/sec:   2000.00
Transfer/sec:    779.63KB
"""


def test_units_and_what_is_not_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(wrk(10))
    assert recognize(path).NAME == NAME
    reading = read([path])
    row = reading.steps.iloc[0]
    assert (row["concurrency"], row["achieved_qps"], row["seconds"]) == (10.0, 100.0, 60.0)
    assert (row["mean_ms"], row["p50_ms"], row["p99_ms"]) == (50.0, 0.9, 1200.0)
    assert np.isnan(row["p95_ms"])
    assert "p95 is not reported" in reading.notes[0]
    assert np.isnan(row["offered_qps"])


def test_a_rate_is_exact_where_minutes_are_rounded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(wrk(10).replace("Requests/sec:    100.00", "Requests/sec:     99.60"))
    row = read([path]).steps.iloc[0]
    assert (row["achieved_qps"], row["seconds"]) == (99.6, pytest.approx(6000 / 99.6))


def test_what_a_windows_shell_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(wrk(10).replace("\n", "\r\n").encode("utf-16"))
    assert recognize(path).NAME == NAME
    assert read([path]).steps["concurrency"].tolist() == [10.0]


def test_errors_are_no_answers(tmp_path: Path) -> None:
    more = "  Socket errors: connect 0, read 1000, write 0, timeout 500\n  Non-2xx or 3xx responses: 1500\n"
    path = tmp_path / "a.txt"
    path.write_text(wrk(10, more=more))
    reading = read([path])
    assert reading.steps["achieved_qps"][0] == pytest.approx(75.0)
    assert reading.steps["error_fraction"][0] == pytest.approx(3000 / 7500)
    assert "timeout 500" in " ".join(reading.notes)


def test_every_thread_gets_as_many_connections(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(wrk(400, threads=12))
    assert read([path]).steps["concurrency"][0] == 396


def test_several_runs_of_a_file_and_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(wrk(40, requests=12000) + wrk(10))
    (tmp_path / "b.txt").write_text(wrk(20, requests=9000))
    steps = read(sorted(tmp_path.iterdir())).steps
    assert steps["concurrency"].tolist() == [10, 20, 40]
    assert steps["achieved_qps"].tolist() == [100, 150, 200]


def test_a_run_that_was_broken_off_is_told_and_the_rest_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(wrk(10) + wrk(20)[:200])
    reading = read([path])
    assert len(reading.steps) == 1
    assert "run 2" in reading.broken[0].where
    path.write_text(wrk(20)[:200])
    with pytest.raises(InputError, match="no number of answers a second"):
        read([path])


def test_wrk2_has_every_percentile_and_its_rate_by_its_command(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(wrk2(command="$ wrk -t4 -c96 -d30s -R2500 --latency http://localhost:8080\n"))
    reading = read([path])
    row = reading.steps.iloc[0]
    assert (row["offered_qps"], row["achieved_qps"]) == (2500.0, 2000.0)
    # Between 90 % at 4.47 and 96 % at 5.00 ms.
    assert row["p95_ms"] == pytest.approx(4.47 + 0.53 * 5 / 6)
    assert (row["p50_ms"], row["p99_ms"]) == (2.68, 5.43)
    assert np.isnan(row["concurrency"])


def test_wrk2_without_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(wrk2())
    reading = read([path])
    assert reading.steps["offered_qps"][0] == 2000.0
    assert "the rate asked is not printed" in " ".join(reading.notes)
    # A median of five seconds of thirty: it fell behind by a third of its rate, whatever that was.
    path.write_text(wrk2(p50="5.00s").replace("5.43ms", "9.00s"))
    assert [(g.name, g.verdict) for g in read([path]).gates] == [("load_unknown", "excluded")]


def test_wrk2_measures_nothing_while_it_calibrates(tmp_path: Path) -> None:
    nothing = wrk2(p50="0.00us").replace("    Latency     3.00ms    1.72ms", "    Latency     -nanus    -nanus")
    path = tmp_path / "a.txt"
    path.write_text(nothing[: nothing.index("  Detailed")] + nothing[nothing.index("  60000 requests") :])
    reading = read([path])
    assert np.isnan(reading.steps["p50_ms"][0])
    assert ("load_unknown", "excluded") in [(g.name, g.verdict) for g in reading.gates]


def test_wrk2_takes_latency_from_when_a_request_should_have_begun(tmp_path: Path) -> None:
    whole = wrk2()
    uncorrected = wrk2(p50="1.00ms", title="Uncorrected Latency (measured without taking delayed starts into account)")
    cut = uncorrected[uncorrected.index("  Latency Dist") : uncorrected.index("  60000 requests")]
    path = tmp_path / "a.txt"
    path.write_text(whole.replace("  60000 requests", cut + "  60000 requests"))
    reading = read([path])
    assert reading.steps["p50_ms"][0] == 2.68
    assert not reading.gates
    path.write_text(uncorrected)
    assert ("coordinated_omission", "flagged") in [(g.name, g.verdict) for g in read([path]).gates]


def test_requests_are_not_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(wrk(10))
    with pytest.raises(InputError, match="do not tell requests apart"):
        read([tmp_path / "a.txt"], only=["/work"])


def test_the_known_service(shared_data: Path) -> None:
    reading = read(sorted((shared_data / "loadtests" / "wrk").glob("*.txt")))
    steps = reading.steps
    assert steps["concurrency"].tolist() == [1, 2, 4, 8, 12, 16, 24, 32, 48, 64]
    assert 147.0 * 0.97 < steps["achieved_qps"].max() < 148.3 * 1.03
    assert steps["p95_ms"].isna().all()
    assert {g.verdict for g in judge(reading) if g.name == "littles_law"} == {"ok"}
