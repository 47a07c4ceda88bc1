"""A second ingest replaces days, a killed one nothing; readers see the old table or the new one."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pandas as pd
import pytest

from capacity.errors import CapacityError, InputError
from capacity.history import tables

CSV = "ts,service,requests\n"
STEPS = ["Reading", "Checking", "Writing", "Inspecting"]


def day(number, service="a", requests=1, hours=24):
    return "".join(f"2026-11-{number:02d} {h:02d}:00,{service},{requests}\n" for h in range(hours))


def requests(shop):
    frame = shop.store.traffic().daily()
    return {(d.day, s): r for d, s, r in zip(frame["date"], frame["service"], frame["requests"], strict=True)}


def test_days_of_a_service_are_replaced_and_all_else_stays(shop):
    shop.take(CSV + day(10) + day(11) + day(10, "b"))
    report = shop.take(CSV + day(11, requests=5) + day(12, requests=5))
    assert report.rows_replaced == 24
    assert requests(shop) == {(10, "a"): 24, (10, "b"): 24, (11, "a"): 120, (12, "a"): 120}


def test_the_same_source_again_changes_no_byte(shop):
    shop.take(CSV + day(10) + day(11, "b") + "2026-10-31 23:00,a,1\n2026-12-01 00:00,a,1\n")
    first = shop.store.inputs()
    assert len(first) == 3
    shop.take(CSV + day(10))
    assert shop.store.inputs() == first
    assert all((shop.root / str(part["path"])).is_file() for part in first)


def test_what_the_source_lacks_is_told(shop):
    shop.take(CSV + day(10) + day(10, "b"))
    report = shop.take(CSV + day(10, hours=12))
    assert requests(shop) == {(10, "a"): 12, (10, "b"): 24}
    assert any("services that this source does not have: b" in warning for warning in report.warnings)
    assert any("a source should hold whole days" in warning for warning in report.warnings)


def test_minutes_replace_an_hourly_day(shop):
    shop.take(CSV + day(10) + day(11))
    minutes = "".join(f"2026-11-11 {m // 60:02d}:{m % 60:02d},a,1\n" for m in range(1440))
    shop.take(CSV + minutes)
    assert requests(shop) == {(10, "a"): 24, (11, "a"): 1440}
    assert shop.rows().groupby("interval_s")["requests"].count().to_dict() == {60: 1440, 3600: 24}


def test_a_workspace_that_moves_to_another_zone_keeps_every_row(shop, tmp_path):
    shop.take(CSV + day(1) + day(2) + day(30))
    shop.timezone = "America/New_York"
    shop.take("ts,service,requests\n2026-11-01T00:00:00-04:00,z,7\n")
    assert shop.store.traffic().daily()["requests"].sum() == 72 + 7


def test_segments_and_calls_are_replaced_by_day(shop):
    shop.take("date,segment,dau,dat\n2026-11-10,app,9,1\n2026-11-10,web,5,1\n2026-11-11,app,9,1\n", "daily_activity")
    shop.take("date,segment,dau,dat\n2026-11-10,app,90,10\n", "daily_activity")
    assert shop.store.daily_activity().frame["dau"].tolist() == [90, 5, 9]
    calls = "caller,callee,calls,window_start,window_end\na,b,5,2026-11-10T00:00,2026-11-11T00:00\n"
    shop.take(calls + "a,c,6,2026-11-10T00:00,2026-11-11T00:00\nd,e,1,2026-11-10T00:00,2026-11-11T00:00\n", "calls")
    shop.take(calls, "calls")
    assert shop.store.calls()[["caller", "callee", "calls"]].to_numpy().tolist() == [["a", "b", 5], ["d", "e", 1]]


CHILD = """
    import os, signal, sys
    from capacity.history import ingest, merge, tables

    step, source, root = sys.argv[1:]

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    def say(text):
        if step in text:
            die()

    if step == "publish":
        merge.publish = die
    if step == "replace":
        tables.Path.replace = die
    ingest(source, table="traffic", workspace_dir=root, timezone="Asia/Shanghai", progress=say)
"""


@pytest.mark.parametrize("step", [*STEPS, "publish", "replace"])
def test_a_killed_ingest_leaves_the_old_table_whole_and_wedges_nothing(shop, step):
    shop.take(CSV + day(10))
    before = shop.store.inputs()
    source = shop.file("new.csv", CSV + day(10, requests=9) + day(11, requests=9))
    child = [sys.executable, "-c", textwrap.dedent(CHILD), step, str(source), str(shop.root)]
    assert subprocess.run(child, check=False, capture_output=True).returncode == -signal.SIGKILL
    done = step == "Inspecting"  # the new table is published before it is looked at
    assert requests(shop) == ({(10, "a"): 216, (11, "a"): 216} if done else {(10, "a"): 24})
    assert done or shop.store.inputs() == before
    shop.ingest(source)
    assert requests(shop) == {(10, "a"): 216, (11, "a"): 216}
    assert not list((shop.root / "data/tables/traffic").glob(".staging-*"))


def test_two_ingests_at_once_lose_nothing(shop):
    code = (
        "import sys; from capacity.history import ingest; "
        "ingest(sys.argv[1], table='traffic', workspace_dir=sys.argv[2], timezone='Asia/Shanghai')"
    )
    sources = [shop.file(f"{n}.csv", CSV + day(10 + n) + day(10, f"s{n}")) for n in range(2)]
    children = [subprocess.Popen([sys.executable, "-c", code, str(s), str(shop.root)]) for s in sources]
    assert [child.wait() for child in children] == [0, 0]
    assert len(requests(shop)) == 4


def test_readers_see_the_old_table_or_the_new_one(shop):
    shop.take(CSV + day(10))
    traffic = shop.store.traffic()
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(int(shop.store.traffic().daily()["requests"].sum()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in (2, 3):
            shop.take(CSV + day(10, requests=n))
    finally:
        stop.set()
        reader.join()
    assert seen <= {24, 48, 72}
    # One that was opened before still answers, with what it opened or what came since.
    assert int(traffic.daily()["requests"].sum()) in {24, 48, 72}


def test_a_reader_whose_files_are_gone_reads_what_is_there_now(shop, monkeypatch):
    shop.take(CSV + day(10))
    traffic = shop.store.traffic()
    assert traffic.services == ("a",)
    monkeypatch.setattr(tables, "_KEEP_S", -1)
    for n in (2, 3):
        shop.take(CSV + day(10, requests=n))
    assert len(list((shop.root / "data/tables/traffic").glob("*.parquet"))) == 2
    assert int(traffic.daily()["requests"].sum()) == 72


def test_a_writer_waits_for_another_and_says_so(shop):
    folder = shop.root / "data/tables/traffic"
    with (
        tables.writing(folder),
        pytest.raises(CapacityError, match="another ingest"),
        tables.writing(folder, wait_s=0.1),
    ):
        pass
    said = []
    holding = tables.writing(folder)
    holding.__enter__()
    threading.Timer(0.3, lambda: holding.__exit__(None, None, None)).start()
    shop.take(CSV + day(10), progress=said.append)
    assert said[0] == "Waiting for another ingest into traffic"
    assert requests(shop) == {(10, "a"): 24}


def test_a_lock_file_left_behind_wedges_nothing(shop):
    folder = shop.root / "data/tables/traffic"
    (folder / ".staging-old").mkdir(parents=True)
    (folder / ".staging-old" / "spill").write_text("left")
    (folder / ".lock").write_text("999999")
    shop.take(CSV + day(10))
    assert requests(shop) == {(10, "a"): 24}
    assert not (folder / ".staging-old").exists()


def test_retired_parts_go_after_an_hour(shop):
    folder = shop.root / "data/tables/traffic"
    for n in (1, 2):
        shop.take(CSV + day(10, requests=n))
    assert len(list(folder.glob("*.parquet"))) == 2
    for mark in folder.glob(".*.old"):
        os.utime(mark, (time.time() - 7200,) * 2)
    shop.take(CSV + day(10, requests=3))
    assert len(list(folder.glob("*.parquet"))) == 2
    assert requests(shop) == {(10, "a"): 72}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": "other/1", "parts": []}', '{"schema": "capacity.table/1"}']
)
def test_a_foreign_manifest_is_told_and_not_overwritten(shop, text):
    manifest = shop.root / "data/tables/traffic/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(text)
    with pytest.raises(InputError, match="not a manifest of a table"):
        shop.take(CSV + day(10))
    with pytest.raises(InputError, match="not a manifest of a table"):
        shop.store.traffic().daily()
    assert manifest.read_text() == text


def test_a_workspace_with_a_strange_name(tmp_path, shop_in):
    root = tmp_path / "it's [a] *? 双11"
    root.mkdir()
    shop = type(shop_in("Asia/Shanghai"))(root)
    for _ in range(2):
        shop.take(CSV + day(10))
    assert requests(shop) == {(10, "a"): 24}
    document = json.loads((root / "data/tables/traffic/manifest.json").read_text())
    assert document["rows"] == 24


def test_larger_than_memory_spills(shop, monkeypatch):
    monkeypatch.setattr("capacity.history.engine._memory_limit", lambda: 90 * 1024**2)
    ts = pd.date_range("2026-10-20", periods=20_000, freq="min", tz="Asia/Shanghai")
    frame = pd.concat([pd.DataFrame({"ts": ts, "service": f"s{n}", "requests": range(20_000)}) for n in range(20)])
    frame.to_parquet(shop.sources / "big.parquet", index=False)
    report = shop.ingest(shop.sources / "big.parquet")
    assert report.rows_kept == 400_000
    assert int(shop.store.traffic().daily()["requests"].sum()) == 20 * sum(range(20_000))
