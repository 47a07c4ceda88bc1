"""Access logs against a slow reader of their own: every count the same, malformed lines included."""

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capacity.cli.main import run
from capacity.errors import InputError
from capacity.history import Store
from capacity.history.access_log import ServiceRule, ingest_access_log, parse_service_rule

ZONE = "Asia/Shanghai"
RULE = "{prefixes: {/api/cart: cart, /api: api, /item: detail}, other: web}"
START = datetime(2026, 11, 10, 12, tzinfo=UTC)
_WORDS = re.compile(r"bot|crawl|spider|slurp|curl/|wget/|python-requests|headless", re.IGNORECASE)


def combined(second: int, path: str, status: int, agent: str, *, offset: int = 8, taken: str = "") -> str:
    local = START + timedelta(seconds=second, hours=offset)
    stamp = f"{local:%d/%b/%Y:%H:%M:%S} +{offset:02d}00"
    return f'2001:db8::1 - - [{stamp}] "GET {path} HTTP/1.1" {status} 12 "https://a/" "{agent}"{taken}'


def service_of(path: str) -> str:
    for prefix, name in (("/api/cart", "cart"), ("/api", "api"), ("/item", "detail")):
        if path == prefix or path.startswith((f"{prefix}/", f"{prefix}?")):
            return name
    return "web"


def taken_in(folder: Path) -> list[dict[str, Any]]:
    rows = Store(folder, timezone=ZONE).traffic().window(START - timedelta(days=1), START + timedelta(days=1))
    return [row for row in rows.to_dict("records") if row["requests"] > 0]


def total(rows: list[dict[str, Any]], column: str) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for row in rows:
        minute = round((row["ts"] - START).total_seconds()) // 60
        found[row["service"], minute] += int(row.get(column) or 0)
    return +found


lines = st.tuples(
    st.integers(0, 400),
    st.sampled_from(["/", "/api/cart", "/api/cart/add?x=1", "/api/cartoon", "/item/7", "/items", "/a b", "/caf\u00e9"]),
    st.sampled_from([200, 301, 404, 429, 500, 503]),
    st.sampled_from(["Mozilla/5.0", "Googlebot/2.1", 'quoted \\" agent', "", "\u4e2d\u6587"]),
    st.sampled_from([0, 5, 8]),
)
broken = st.sampled_from(
    [
        "",
        "nonsense",
        "[10/Nov/2026:20:00:00 +0800]",
        '1.1.1.1 - - [99/Zzz/2026:20:00:00 +0800] "GET / HTTP/1.1" 200 1',
        '1.1.1.1 - - [10/Nov/2026:20:00:00 +0800] "GET / HTTP/1.1" abc 1',
        "\x00\x01",
        "x" * 5000,
    ]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    good=st.lists(lines, min_size=1, max_size=60),
    bad=st.lists(broken, max_size=6),
    ending=st.sampled_from(["\n", "\r\n"]),
    torn=st.booleans(),
)
def test_every_count_is_that_of_a_slow_reader(
    tmp_path_factory: pytest.TempPathFactory,
    good: list[tuple[int, str, int, str, int]],
    bad: list[str],
    ending: str,
    torn: bool,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    written = [combined(second, path, status, agent, offset=offset) for second, path, status, agent, offset in good]
    text = ending.join([*written[: len(written) // 2], *bad, *written[len(written) // 2 :]]) + ("" if torn else ending)
    (folder / "access.log").write_bytes(text.encode())
    report = ingest_access_log(
        folder / "access.log", rule=parse_service_rule(RULE, where="rule"), workspace_dir=folder, timezone=ZONE
    )
    nonempty = [line for line in bad if line]
    assert report.malformed == len(nonempty)
    assert report.lines == len(good) + len(nonempty)
    rows = taken_in(folder)
    for column, counts in {
        "requests": lambda status, agent: True,
        "errors": lambda status, agent: status >= 500,
        "rejected": lambda status, agent: status == 429,
        "bot_requests": lambda status, agent: bool(_WORDS.search(agent)),
    }.items():
        want = Counter(
            (service_of(path), second // 60) for second, path, status, agent, _ in good if counts(status, agent)
        )
        assert total(rows, column) == +want, column
    seconds = Counter((service_of(path), second) for second, path, *_ in good)
    peaks: dict[tuple[str, int], int] = {}
    for (name, second), n in seconds.items():
        peaks[name, second // 60] = max(peaks.get((name, second // 60), 0), n)
    assert {key: int(value) for key, value in total(rows, "peak_qps").items()} == peaks
    if nonempty:
        assert report.kept_aside is not None
        kept = (folder / report.kept_aside).read_bytes()
        assert sorted(kept.decode().split("\n")[:-1]) == sorted(nonempty), "each malformed line is kept, and no other"


def test_what_is_not_utf8_is_counted_all_the_same(tmp_path: Path) -> None:
    good = combined(0, "/item/1", 200, "Mozilla").encode()
    text = good + b"\n" + good.replace(b"Mozilla", b"caf\xe9 bot") + b"\n\xff\xfe\n"
    (tmp_path / "a.log").write_bytes(text)
    report = ingest_access_log(tmp_path / "a.log", rule=ServiceRule.of("s"), workspace_dir=tmp_path, timezone=ZONE)
    assert (report.lines, report.malformed) == (3, 1)
    assert taken_in(tmp_path)[0]["bot_requests"] == 1


def test_json_lines_packed_and_mixed_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    moments = [START + timedelta(seconds=second) for second in (0, 0, 1, 59)]
    objects = [
        {"time": moment.isoformat(), "uri": "/api/cart/1", "status": 429, "request_time": 0.25, "user_agent": "bot"}
        for moment in moments
    ]
    with gzip.open(folder / "a.json.gz", "wt") as file:
        file.write("\n".join([json.dumps(one) for one in objects] + ["{broken"]))
    epoch = [
        {"msec": moment.timestamp() * 1000, "path": "/item/3", "code": "503", "duration_ms": 80} for moment in moments
    ]
    (folder / "b.json").write_text("\n".join(json.dumps(one) for one in epoch))
    (folder / "c.log").write_text(combined(0, "/", 200, "x", taken=" 0.040") + "\n")
    report = ingest_access_log(
        folder, rule=parse_service_rule(RULE, where="rule"), workspace_dir=tmp_path, timezone=ZONE
    )
    assert (report.lines, report.malformed) == (10, 1)
    rows = {row["service"]: row for row in taken_in(tmp_path)}
    assert (
        rows["cart"]["requests"],
        rows["cart"]["rejected"],
        rows["cart"]["bot_requests"],
        rows["cart"]["peak_qps"],
    ) == (4, 4, 4, 2)
    assert (rows["detail"]["requests"], rows["detail"]["errors"]) == (4, 4)
    for name, ms in (("cart", 250), ("detail", 80), ("web", 40)):
        assert rows[name]["p99_ms"] == pytest.approx(ms, rel=0.02)


def test_a_line_without_a_status_takes_no_other_with_it(tmp_path: Path) -> None:
    good = {"time": START.isoformat(), "path": "/a", "status": 200, "request_time": 0.1}
    odd = [
        good | {"status": "-"},
        {key: value for key, value in good.items() if key != "status"},
        good | {"time": "soon"},
    ]
    (tmp_path / "a.json").write_text("\n".join(json.dumps(one) for one in [good, *odd, good]) + "\n")
    report = ingest_access_log(tmp_path / "a.json", rule=ServiceRule.of("s"), workspace_dir=tmp_path, timezone=ZONE)
    assert (report.lines, report.malformed) == (5, 3)
    assert taken_in(tmp_path)[0]["requests"] == 2
    assert report.kept_aside is not None
    assert [json.loads(line) for line in (tmp_path / report.kept_aside).read_text().splitlines()] == odd


def test_latencies_are_those_of_all_lines_to_a_percent(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    taken = np.round(rng.lognormal(-2, 0.8, 3000), 3)
    lines = [combined(i % 60, "/", 200, "x", taken=f" {one:.3f}") for i, one in enumerate(taken)]
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    ingest_access_log(tmp_path / "a.log", rule=ServiceRule.of("s"), workspace_dir=tmp_path, timezone=ZONE)
    row = taken_in(tmp_path)[0]
    for share in (50, 95, 99):
        exact = np.quantile(taken, share / 100, method="inverted_cdf") * 1000
        assert row[f"p{share}_ms"] == pytest.approx(exact, rel=0.011)


def test_a_telephone_is_no_bot(tmp_path: Path) -> None:
    agents = ["Mozilla/5.0 (Linux; Android 9; CUBOT X19)", "Mozilla/5.0 (compatible; Googlebot/2.1)"]
    (tmp_path / "a.log").write_text("".join(combined(0, "/", 200, agent) + "\n" for agent in agents))
    ingest_access_log(tmp_path / "a.log", rule=ServiceRule.of("s"), workspace_dir=tmp_path, timezone=ZONE)
    assert taken_in(tmp_path)[0]["bot_requests"] == 1


def test_quiet_minutes_are_zero_and_long_silence_is_unknown(tmp_path: Path) -> None:
    seconds = [0, 60, 300, 360, 3000, 3060]
    text = "\n".join(combined(second, "/item" if i % 2 else "/", 200, "x") for i, second in enumerate(seconds))
    (tmp_path / "a.log").write_text(text + "\n")
    ingest_access_log(
        tmp_path / "a.log", rule=parse_service_rule(RULE, where="rule"), workspace_dir=tmp_path, timezone=ZONE
    )
    rows = Store(tmp_path, timezone=ZONE).traffic().window(START, START + timedelta(hours=2))
    minutes = {round((row["ts"] - START).total_seconds()) // 60 for row in rows.to_dict("records")}
    assert minutes == {0, 1, 2, 3, 4, 5, 6, 50, 51}
    assert set(rows["interval_s"]) == {60}


def test_what_no_rule_fits_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join([combined(0, "/api", 200, "x"), combined(0, "/other", 200, "x")]))
    rule = parse_service_rule("{prefixes: {/api: api}}", where="rule")
    report = ingest_access_log(tmp_path / "a.log", rule=rule, workspace_dir=tmp_path, timezone=ZONE)
    assert report.without_service == 1
    assert [row["service"] for row in taken_in(tmp_path)] == ["api"]


@pytest.mark.parametrize(
    ("content", "says"), [("", "is empty"), ("no line\nof a log\n", "none of 2 lines"), ('{"a": 1}\n', "name no time")]
)
def test_what_is_no_log_is_said(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "a.log").write_text(content)
    with pytest.raises(InputError) as caught:
        ingest_access_log(tmp_path / "a.log", rule=ServiceRule.of("s"), workspace_dir=tmp_path, timezone=ZONE)
    assert says in str(caught.value)


def test_hostile_paths_and_names_are_data(tmp_path: Path) -> None:
    evil = "/item/'); DROP TABLE seconds; --"
    (tmp_path / "a.log").write_text(combined(0, evil, 200, "'; --") + "\n")
    rule = parse_service_rule('{prefixes: {"/item/\');": "it\'s <b>", /: web}}', where="rule")
    ingest_access_log(tmp_path / "a.log", rule=rule, workspace_dir=tmp_path, timezone=ZONE)
    assert sum(row["requests"] for row in taken_in(tmp_path)) == 1


def test_the_command_takes_it_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(tmp_path / "shop")]) == 0
    (tmp_path / "a.log").write_text(combined(0, "/item", 200, "x") + "\nbroken\n")
    ask = ["-w", str(tmp_path / "shop"), "ingest", str(tmp_path / "a.log"), "--as", "access_log"]
    assert run(ask) == 2
    capsys.readouterr()
    assert run([*ask, "--service", "web", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["lines"], document["malformed"]) == (2, 1)
