"""hey, ab, autocannon and oha: a summary is a step; rows are a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import ab, autocannon, hey, oha, recognize
from tests.loadtest.readers.simulated import BEGAN_S, Requests, closed

HEY = """
Summary:
  Total:\t30.0000 secs
  Slowest:\t1.9000 secs
  Fastest:\t0.0100 secs
  Average:\t0.0500 secs
  Requests/sec:\t200.0000
  
  Total data:\t60000 bytes

Response time histogram:
  0.010 [1]\t|
  1.900 [9]\t|■

Latency distribution:
  10%% in 0.0200 secs
  50%% in 0.0450 secs
  90%% in 0.0800 secs
  95%% in 0.0900 secs
  99%% in 0.1200 secs

Details (average, fastest, slowest):
  DNS+dialup:\t0.0001 secs, 0.0000 secs, 0.0100 secs

Status code distribution:
  [200]\t5000 responses
  [503]\t400 responses

Error distribution:
  [600]\tGet "http://a/": context deadline exceeded
"""  # noqa: W293


def test_hey_summary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(HEY)
    assert recognize(path).NAME == "hey"
    reading = hey.read([path])
    row = reading.steps.iloc[0]
    assert row["achieved_qps"] == pytest.approx(200 * 5 / 6)
    assert row["error_fraction"] == pytest.approx(1 / 6)
    # A tenth timed out, and waited longer than the slowest answer.
    assert (row["p50_ms"], row["p95_ms"], row["p99_ms"], row["seconds"]) == (45.0, 1900.0, 1900.0, 30.0)
    assert [(g.name, g.value, g.step) for g in reading.gates] == [("timeouts_outside_percentiles", 0.1, 0)]
    # Workers are not printed: by Little's law, which is then not checked against itself.
    assert row["concurrency"] == pytest.approx(200 * 0.9 * 0.05)
    assert "mean_ms" not in reading.steps
    path.write_text("$ hey -z 30s -c 12 http://a/\n" + HEY.replace("%%", "%"))
    row = hey.read([path]).steps.iloc[0]
    assert (row["concurrency"], row["mean_ms"], row["p95_ms"]) == (12.0, 50.0, 1900.0)


def hey_rows(requests: Requests, *, codes: object = 200) -> str:
    codes = np.broadcast_to(codes, requests.start_s.shape)
    header = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"
    rows = zip(requests.latency_s, codes, requests.start_s - BEGAN_S, strict=True)
    return header + "".join(f"\n{r:.4f},0.0000,0.0000,0.0000,{r:.4f},0.0000,{c},{at:.4f}" for r, c, at in rows)


def test_hey_rows_a_file_a_step(tmp_path: Path) -> None:
    for users in (2, 4, 8):
        requests = closed((users,), step_s=20.0)
        codes = np.where(np.arange(len(requests.start_s)) % 10 == 0, 500, 200)
        (tmp_path / f"{users}.csv").write_text(hey_rows(requests, codes=codes))
    files = sorted(tmp_path.iterdir())
    assert recognize(files[0]).NAME == "hey"
    steps = hey.read(files).steps
    assert steps["concurrency"].tolist() == [2, 4, 8]
    np.testing.assert_allclose(steps["achieved_qps"], 0.9 * np.array([40, 80, 80]), rtol=0.08)
    np.testing.assert_allclose(steps["error_fraction"], 0.1, atol=0.01)


AB = """This is ApacheBench, Version 2.3 <$Revision: 1903618 $>

Benchmarking localhost (be patient).....done

Server Software:        nginx
Server Port:            8080

Document Path:          /
Document Length:        40 bytes

Concurrency Level:      10
Time taken for tests:   20.000 seconds
Complete requests:      4000
Failed requests:        300
   (Connect: 0, Receive: 60, Length: 200, Exceptions: 40)
Non-2xx responses:      100
Total transferred:      1530740 bytes
Requests per second:    200.00 [#/sec] (mean)
Time per request:       50.000 [ms] (mean)
Time per request:       5.000 [ms] (mean, across all concurrent requests)
Transfer rate:          1.49 [Kbytes/sec] received

Connection Times (ms)
              min  mean[+/-sd] median   max
Connect:        0    1   5.0      0     501
Processing:     2   48  16.3     44     560
Waiting:        1   48  16.4     43     558
Total:          2   49  16.0     45     560

Percentage of the requests served within a certain time (ms)
  50%     45
  66%     50
  95%     90
  98%    110
  99%    120
 100%    560 (longest request)
"""


def test_ab_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(AB)
    assert recognize(path).NAME == "ab"
    reading = ab.read([path])
    row = reading.steps.iloc[0]
    # 60 + 40 failed and 100 refused of 4000; that 200 were of another length than the first is no failure.
    assert row["error_fraction"] == pytest.approx(0.05)
    assert row["achieved_qps"] == pytest.approx(190.0)
    assert (row["concurrency"], row["mean_ms"], row["p50_ms"], row["p95_ms"], row["p99_ms"]) == (10, 49, 45, 90, 120)
    assert "200 answers of another length" in " ".join(reading.notes)
    path.write_text(AB + AB.replace("Level:      10", "Level:      5"))
    assert ab.read([path]).steps["concurrency"].tolist() == [5, 10]


def test_ab_rows(tmp_path: Path) -> None:
    requests = closed((8,), step_s=30.0)
    order = np.argsort(requests.latency_s)
    rows = [f"x\t{int(requests.start_s[i])}\t0\t1\t{1e3 * requests.latency_s[i]:.0f}\t1" for i in order]
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(["starttime\tseconds\tctime\tdtime\tttime\twait", *rows]))
    assert recognize(path).NAME == "ab"
    reading = ab.read([path])
    assert reading.steps["achieved_qps"][0] == pytest.approx(80, rel=0.05)
    assert reading.steps["concurrency"][0] == pytest.approx(8, rel=0.1)
    assert reading.errors_counted is None


def test_ab_rows_of_few_connections_and_several_runs(tmp_path: Path) -> None:
    """The rows are sorted by latency and dated to the second: the number under way cannot be counted from them."""
    paths = []
    for place, users in enumerate((2, 12, 24)):
        requests = closed((users,), step_s=10.0)
        order = np.argsort(requests.latency_s)
        first = 60 * place + requests.start_s
        rows = [f"x\t{int(first[i])}\t0\t1\t{1e3 * requests.latency_s[i]:.0f}\t1" for i in order]
        paths.append(tmp_path / f"c{users}.tsv")
        paths[-1].write_text("\n".join(["starttime\tseconds\tctime\tdtime\tttime\twait", *rows]) + "\n")
    steps = ab.read(paths).steps
    assert steps["concurrency"].tolist() == pytest.approx([2, 12, 24], rel=0.12)
    assert steps["begins_s"].tolist() == [0.0, 60.0, 120.0]


def test_ab_percentiles_alone_say_nothing_of_throughput(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Percentage served,Time in ms\n0,1.1\n1,1.2\n")
    assert recognize(path).NAME == "ab"
    with pytest.raises(InputError, match="percentiles alone"):
        ab.read([path])
    (tmp_path / "a.txt").write_text(AB)
    assert "a.csv" in " ".join(ab.read([path, tmp_path / "a.txt"]).notes)


def autocannon_json(**more: object) -> str:
    said: dict[str, object] = {"url": "http://a", "connections": 10, "pipelining": 2, "duration": 20.0}
    said |= {"requests": {"average": 199.0, "mean": 199.0, "total": 4000, "sent": 4100}}
    said |= {"latency": {"average": 98.0, "mean": 98.0, "p50": 45, "p90": 80, "p97_5": 100, "p99": 120}}
    said |= {"errors": 100, "timeouts": 20, "non2xx": 400, "2xx": 3600, "3xx": 200, "4xx": 100, "5xx": 100}
    return json.dumps(said | more)


def test_autocannon_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(autocannon_json(start="2026-01-01T00:00:00Z"))
    assert recognize(path).NAME == "autocannon"
    reading = autocannon.read([path])
    row = reading.steps.iloc[0]
    assert row["concurrency"] == 20
    # 200 refusals of 4000 answers and 100 errors beside them; redirects are answers.
    assert row["achieved_qps"] == pytest.approx(190.0)
    assert row["error_fraction"] == pytest.approx(300 / 4100)
    assert (row["p50_ms"], row["p99_ms"], row["mean_ms"]) == (45.0, 120.0, 98.0)
    assert np.isnan(row["p95_ms"])
    assert "p95 is not reported" in reading.notes[0]
    later = autocannon_json(start="2026-01-01T00:05:00Z", connections=2)
    path.write_text(autocannon_json(start="2026-01-01T00:00:00Z") + "\n" + later)
    assert autocannon.read([path]).steps["begins_s"].tolist() == [0.0, 300.0]


AUTOCANNON = """Running 20s test @ http://localhost:3000
20 connections with 2 pipelining factor


┌─────────┬──────┬───────┬───────┬───────┬──────────┬─────────┬────────┐
│ Stat    │ 2.5% │ 50%   │ 97.5% │ 99%   │ Avg      │ Stdev   │ Max    │
├─────────┼──────┼───────┼───────┼───────┼──────────┼─────────┼────────┤
│ Latency │ 4 ms │ 17 ms │ 26 ms │ 30 ms │ 16.63 ms │ 5.85 ms │ 161 ms │
└─────────┴──────┴───────┴───────┴───────┴──────────┴─────────┴────────┘
┌───────────┬────────┬────────┬────────┬────────┬─────────┬─────────┬────────┐
│ Stat      │ 1%     │ 2.5%   │ 50%    │ 97.5%  │ Avg     │ Stdev   │ Min    │
├───────────┼────────┼────────┼────────┼────────┼─────────┼─────────┼────────┤
│ Req/Sec   │ 2,083  │ 2,083  │ 2,233  │ 2,879  │ 2,333.7 │ 232.68  │ 2,082  │
├───────────┼────────┼────────┼────────┼────────┼─────────┼─────────┼────────┤
│ Bytes/Sec │ 523 kB │ 523 kB │ 561 kB │ 723 kB │ 586 kB  │ 58.4 kB │ 523 kB │
└───────────┴────────┴────────┴────────┴────────┴─────────┴─────────┴────────┘

Req/Bytes counts sampled once per second.
# of samples: 20

47k requests in 20.04s, 11.7 MB read
"""


@pytest.mark.parametrize("average", ["2,333.7", "2.333,7", "2333.7", "2,334", "2.334"])
def test_autocannon_tables_in_any_notation(tmp_path: Path, average: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(AUTOCANNON.replace("2,333.7", average))
    assert recognize(path).NAME == "autocannon"
    row = autocannon.read([path]).steps.iloc[0]
    assert row["achieved_qps"] == pytest.approx(2333.7, rel=1e-3)
    assert (row["concurrency"], row["p50_ms"], row["p99_ms"], row["mean_ms"]) == (40, 17.0, 30.0, 16.63)


def test_a_count_shortened_to_one_digit_does_not_overrule_the_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    table = AUTOCANNON.replace("2,333.7", "165.25")
    done = next(line for line in table.splitlines() if " requests in " in line)
    path.write_text(table.replace(done, "1k requests in 8.04s, 119 kB read"))
    assert autocannon.read([path]).steps["achieved_qps"].tolist() == pytest.approx([165.25])


def test_autocannon_errors_in_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(AUTOCANNON + "10k errors (1k timeouts)\n40k 2xx responses, 10k non 2xx responses\n")
    row = autocannon.read([path]).steps.iloc[0]
    assert row["achieved_qps"] == pytest.approx(2333.7 * 0.8, rel=1e-3)
    sent = 2333.7 * 20.04
    assert row["error_fraction"] == pytest.approx((0.2 * sent + 10_000) / (sent + 10_000), rel=1e-3)


def test_oha_json(tmp_path: Path) -> None:
    said = {
        "summary": {"successRate": 0.9, "total": 10.0, "average": 0.05, "requestsPerSec": 112.0},
        "latencyPercentiles": {"p50": 0.045, "p95": 0.09, "p99": 0.12},
        "statusCodeDistribution": {"200": 900, "500": 100},
        "errorDistribution": {"connection refused": 100, "aborted due to deadline": 20},
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(said))
    assert recognize(path).NAME == "oha"
    row = oha.read([path]).steps.iloc[0]
    assert row["achieved_qps"] == pytest.approx(90.0)
    assert row["error_fraction"] == pytest.approx(200 / 1100)
    assert (row["p50_ms"], row["p95_ms"], row["p99_ms"]) == (45.0, 90.0, 120.0)
    assert row["concurrency"] == pytest.approx(100 * 0.05)
