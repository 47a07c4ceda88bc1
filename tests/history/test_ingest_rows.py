"""Rows that break the contract: counted by reason, written aside with their lines, never silently dropped."""

import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capacity.errors import InputError
from capacity.history import Traffic

GOOD = "2026-11-10T20:00:00Z,good,10,,,,,,,,,,\n"
NAMES = ["ts", "service", "requests", "errors", "rejected", "test_requests", "bot_requests", "peak_qps"]
NAMES += ["p50_ms", "p95_ms", "p99_ms", "cpu_fraction", "instances"]
HEADER = ",".join(NAMES) + "\n"


def row(**cells):
    base = {"ts": "2026-11-10T20:05:00Z", "service": "x", "requests": "100"} | cells
    return ",".join(base.get(name, "") for name in HEADER.strip().split(",")) + "\n"


BAD = [
    (row(requests=""), "requests: empty"),
    (row(requests="null"), "requests: empty"),
    (row(requests="many"), "requests: not a number"),
    (row(requests="1_000"), "requests: not a number"),
    (row(requests="0x10"), "requests: not a number"),
    (row(requests="NaN"), "requests: NaN (unknown is an empty cell)"),
    (row(requests="inf"), "requests: infinite"),
    (row(requests="-Infinity"), "requests: infinite"),
    (row(requests="-1"), "requests: negative"),
    (row(requests="1.5"), "requests: not a whole number"),
    (row(requests="1000000000000000000"), "requests: above 1e+12, not a measurement"),
    (row(requests="1e18"), "requests: above 1e+12, not a measurement"),
    (row(errors="101"), "errors above requests, of which they are part"),
    (row(rejected="101"), "rejected above requests, of which they are part"),
    (row(test_requests="101"), "test_requests above requests, of which they are part"),
    (row(bot_requests="101"), "bot_requests above requests, of which they are part"),
    (row(errors="60", rejected="60"), "errors and rejected together above requests (errors do not count rejected)"),
    (row(peak_qps="101"), "peak_qps above requests: one second had more than the whole interval"),
    (row(p50_ms="9", p95_ms="8"), "p50_ms, p95_ms, p99_ms fall"),
    (row(p99_ms="nan"), "p99_ms: NaN (unknown is an empty cell)"),
    (row(p99_ms="-3"), "p99_ms: negative"),
    (row(cpu_fraction="45"), "cpu_fraction: above 1 (a fraction is 0 to 1; is this a percentage?)"),
    (row(cpu_fraction="-0.1"), "cpu_fraction: negative"),
    (row(instances="2.5"), "instances: not a whole number"),
    (row(service=""), "service: empty"),
    (row(service="a" * 201), "service: longer than 200 characters"),
    (row(service='"a\nb"'), "service: control characters"),
    (row(ts=""), "ts: empty"),
    (row(ts="yesterday"), "ts: not an ISO 8601 time such as 2026-11-10T20:00:00+08:00"),
    (row(ts="1762776000"), "ts: not an ISO 8601 time such as 2026-11-10T20:00:00+08:00"),
    (row(ts="10/11/2026 20:00"), "ts: not an ISO 8601 time such as 2026-11-10T20:00:00+08:00"),
    (row(ts="2026-02-30T20:00Z"), "ts: not an ISO 8601 time such as 2026-11-10T20:00:00+08:00"),
    (row(ts="2026-11-10"), "ts: not an ISO 8601 time such as 2026-11-10T20:00:00+08:00"),
    (row(ts="0001-01-01T00:00Z"), "ts: year outside 1990 to 2099"),
    (row(ts="2026-11-10T20:00+19:00"), "ts: offset from UTC beyond 18 hours"),
    ("2026-11-10T20:05:00Z,x\n", "2 cells where the header has 13"),
    (row().rstrip("\n") + ",14\n", "14 cells where the header has 13"),
]


def test_each_bad_row_is_rejected_with_its_reason_and_line(shop):
    content, lines = HEADER + GOOD, []
    for bad, _ in BAD:
        lines.append(content.count("\n") + 1)
        content += bad + GOOD.replace("20:00", f"{len(lines) % 24:02d}:{10 + len(lines) // 24:02d}")
    report = shop.take(content)
    assert report.rows_kept == len(BAD) + 1
    assert report.rows_rejected == len(BAD)
    aside = pd.read_csv(shop.root / report.rejected_path, dtype=str)
    told = dict(zip(aside["line"].astype(int), aside["reason"], strict=True))
    # A cell with a line break shifts what follows by a line: the report says so.
    broken = next(n for n, (bad, _) in enumerate(BAD) if bad.count("\n") > 1)
    assert any("line numbers count records" in warning for warning in report.warnings)
    expected = {line - (n > broken): reason for n, (line, (_, reason)) in enumerate(zip(lines, BAD, strict=True))}
    assert told == expected
    counted = dict(zip(report.rejected["reason"], report.rejected["rows"], strict=True))
    assert sum(counted.values()) == len(BAD)
    assert counted["requests: infinite"] == 2
    first = report.rejected.set_index("reason").loc["requests: empty", "first_line"]
    assert first == f"{shop.sources / 'source.csv'}:3"
    assert "requests: infinite" in str(report)


def test_bytes_that_are_not_utf8_reject_their_row_alone(shop):
    content = (HEADER + GOOD).encode() + row(service="caf\xe9").encode("latin-1")
    report = shop.ingest(shop.file("latin.csv", content))
    assert report.rejected["reason"].tolist() == ["service: not UTF-8 text"]
    assert report.rows_kept == 1


def test_the_rejected_row_stands_aside_as_it_was(shop):
    report = shop.take(HEADER + GOOD + row(service='"<b>a,b"', requests="-7") + "only one cell\n")
    aside = pd.read_csv(shop.root / report.rejected_path, dtype=str)
    assert report.rejected_path.as_posix() == "data/rejected/traffic/source.csv.csv"
    assert aside["service"].iloc[0] == "<b>a,b"
    assert aside["requests"].iloc[0] == "-7"
    assert aside["text"].iloc[1] == "only one cell"
    assert aside["line"].tolist() == ["3", "4"]


def test_lines_are_counted_past_broken_and_blank_ones(shop):
    bad = row(requests="-1")
    report = shop.take(
        HEADER + "a,b\n" + GOOD + "\n" + "c\n" + "d\n" + bad + GOOD.replace("20:00", "20:01") + "e\n" + bad
    )
    aside = pd.read_csv(shop.root / report.rejected_path, dtype=str)
    assert aside["line"].tolist() == ["2", "5", "6", "7", "9", "10"]


def test_many_broken_lines_over_many_blocks_keep_their_numbers(shop):
    lines = [HEADER]
    lines += [
        "broken\n" if n % 3 == 0 else f"2026-11-{1 + n % 28:02d}T{n % 24:02d}:00:00Z,s{n},{n % 7},,,,,,,,,,\n"
        for n in range(30_000)
    ]
    lines[25_001] = row(requests="-5")
    report = shop.take("".join(lines))
    counts = dict(zip(report.rejected["reason"], report.rejected["rows"], strict=True))
    assert counts["1 cells where the header has 13"] == 10_000
    assert report.rejected.set_index("reason").loc["requests: negative", "first_line"].endswith(":25002")
    assert report.rows_kept + report.rows_rejected == report.rows_read == 30_000


def test_when_no_row_is_left_nothing_changes_but_the_reasons_are_told(shop):
    shop.take(HEADER + GOOD)
    with pytest.raises(InputError) as caught:
        shop.take(HEADER + row(requests="-1") + row(requests="x"), name="bad.csv")
    assert "requests: negative" in str(caught.value)
    assert "bad.csv:3" in str(caught.value)
    assert (shop.root / "data/rejected/traffic/bad.csv.csv").is_file()
    assert len(shop.rows()) == 1


def test_json_lines_judge_types(shop):
    lines = [
        {"ts": "2026-11-10T20:00Z", "service": "a", "requests": 5},
        {"ts": "2026-11-10T20:01Z", "service": "a", "requests": "5.0", "errors": None},
        {"ts": "2026-11-10T20:02Z", "service": "a", "requests": True},
        {"ts": "2026-11-10T20:03Z", "service": "a", "requests": [1]},
        {"ts": "2026-11-10T20:04Z", "service": "a"},
        [1, 2],
    ]
    text = (
        "".join(json.dumps(line) + "\n" for line in lines)
        + '{"ts": "2026-11-10T20:05Z", "service": "a", "requests": NaN}\n'
    )
    report = shop.take(text, name="a.jsonl")
    counts = dict(zip(report.rejected["reason"], report.rejected["rows"], strict=True))
    assert report.rows_kept == 2
    assert counts == {
        "requests: not a number": 2,
        "requests: empty": 1,
        "requests: NaN (unknown is an empty cell)": 1,
        "not a JSON object": 1,
    }


def test_json_lines_without_a_segment_are_the_total(shop):
    lines = [
        {"date": "2026-11-09", "dau": 5, "dat": 1},
        {"date": "2026-11-09", "segment": "app", "dau": 3, "dat": 1},
        {"date": "2026-11-10", "segment": "", "dau": 3, "dat": 1},
        {"date": "2026-11-10", "segment": None, "dau": 3, "dat": 1},
    ]
    report = shop.take("".join(json.dumps(line) + "\n" for line in lines), "daily_activity", name="a.jsonl")
    assert report.rows_kept == 2
    assert shop.store.daily_activity().frame["segment"].tolist() == ["app", "total"]
    assert report.rejected["reason"].tolist() == ["segment: empty"]


def test_names_of_any_kind_go_through_unchanged(shop):
    names = [
        "o'brien",
        'a"b',
        "a/b/../c",
        "<script>alert(1)</script>",
        "🛒 双11",
        "null",
        "a,b;c",
        "%s{x}",
        "$.a[0]",
        "-x",
    ]
    cells = ['"' + name.replace('"', '""') + '"' for name in names]
    rows = [f"2026-11-10T20:0{m}Z,{cell},60\n" for cell in cells for m in range(2)]
    shop.take("ts,service,requests\n" + "".join(rows))
    traffic = shop.store.traffic()
    assert set(traffic.services) == set(names)
    for name in names:
        assert len(traffic.window(traffic.first_at, pd.Timestamp("2027-01-01", tz="UTC"), [name])) == 2
    # Again: the same day of the same name is replaced, not added to.
    shop.take("ts,service,requests\n" + "".join(rows[::2]))
    assert len(shop.rows()) == len(names)


def test_ten_thousand_services(shop):
    lines = "".join(f"2026-11-10T20:0{m}:00Z,service-{n},{n + 1}\n" for n in range(10_000) for m in range(2))
    report = shop.take("ts,service,requests\n" + lines)
    assert report.rows_kept == 20_000
    daily = shop.store.traffic().daily()
    assert len(daily) == 10_000
    assert daily["requests"].sum() == 2 * sum(range(1, 10_001))


def test_a_frame_with_a_bad_row_is_refused(shop, minutes):
    with pytest.raises(InputError, match="requests: negative"):
        Traffic.from_frame(minutes("2026-11-10", 3, requests=[1, -1, 1]), timezone="Asia/Shanghai")
    with pytest.raises(InputError, match="requests: negative"):
        shop.store.write("traffic", minutes("2026-11-10", 3, requests=[1, -1, 1]))
    with pytest.raises(InputError, match="no such column"):
        shop.store.write("traffic", pd.DataFrame({"ts": [1]}))
    assert shop.store.traffic().is_empty


cells = st.one_of(
    st.integers(-5, 5).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["", "null", "NaN", "1e3", "10", "9" * 30, "'", '""', "<b>", "−1", "１２"]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_every_row_is_kept_or_told(shop, table):
    lines = [f"2026-11-10T20:{n:02d}:00Z,x,{a},{b}\n" for n, (a, b) in enumerate(table)]
    report = shop.take("ts,service,requests,errors\n2026-11-10T19:59:00Z,x,9,\n" + "".join(lines))
    assert report.rows_read == len(table) + 1 == report.rows_kept + report.rows_rejected
    kept = shop.store.traffic().daily()
    assert kept["requests"].iloc[0] <= 1e12 * len(table) + 9
