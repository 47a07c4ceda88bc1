"""Every format gives the same table."""

import bz2
import gzip
import json

import pandas as pd
import pytest

from capacity.errors import InputError, UsageError

ROWS = [
    {"ts": "2026-11-10T20:00:00+08:00", "service": "cart", "requests": 600, "errors": 1},
    {"ts": "2026-11-10T20:01:00+08:00", "service": "cart", "requests": 660, "errors": None},
    {"ts": "2026-11-10T20:02:00+08:00", "service": "cart", "requests": 720, "errors": 0},
]
CSV = "ts,service,requests,errors\n" + "".join(
    f"{r['ts']},{r['service']},{r['requests']},{'' if r['errors'] is None else r['errors']}\n" for r in ROWS
)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def same(shop):
    frame = shop.rows()
    assert frame["requests"].tolist() == [600, 660, 720]
    assert frame["interval_s"].tolist() == [60, 60, 60]
    assert str(frame["ts"].iloc[0]) == "2026-11-10 20:00:00+08:00"
    errors = shop.store.traffic().daily()["errors"]
    assert errors.tolist() == [1.0]
    return True


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv", "\ufeff" + CSV),
        ("a.csv", CSV.replace("\n", "\r\n")),
        ("a.csv", CSV.replace(",", ";")),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.csv", CSV + "\n\n"),
        ("a.csv", CSV.rstrip("\n")),
        ("a.csv", "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in CSV.splitlines())),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("no-suffix", gzip.compress(CSV.encode(), mtime=0)),
        ("a.csv.bz2", bz2.compress(CSV.encode())),
        ("a.jsonl", LINES),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("a.json", "\n" + LINES + "\n"),
        ("it's [odd] *? 双11 🛒.csv", CSV),
        ('sub dir/a;b"c.csv', CSV),
    ],
)
def test_a_text_file_gives_the_rows_it_holds(shop, name, content):
    report = shop.ingest(shop.file(name, content))
    assert (report.rows_read, report.rows_kept, report.rows_rejected) == (3, 3, 0)
    assert same(shop)


@pytest.mark.parametrize(
    ("unit", "zone"), [("s", "UTC"), ("ms", None), ("us", "Asia/Shanghai"), ("ns", "UTC"), ("ns", None)]
)
def test_a_parquet_file_gives_the_rows_it_holds(shop, unit, zone):
    frame = pd.DataFrame(ROWS)
    moments = pd.to_datetime(frame["ts"]).dt.tz_convert(zone or "Asia/Shanghai").dt.as_unit(unit)
    frame["ts"] = moments if zone else moments.dt.tz_localize(None)
    frame["service"] = frame["service"].astype("category")
    path = shop.sources / "it's [a].parquet"
    frame.to_parquet(path)
    assert shop.ingest(path).rows_kept == 3
    assert same(shop)


def test_a_folder_and_a_glob_are_all_their_files(shop):
    header, *lines = CSV.splitlines(keepends=True)
    shop.file("logs/b/2.csv", header + lines[1])
    shop.file("logs/1.csv", header + lines[0])
    shop.file("logs/3.jsonl", json.dumps(ROWS[2]))
    shop.file("logs/readme.md", "not a table")
    shop.file("logs/.hidden.csv", "nonsense")
    report = shop.ingest(shop.sources / "logs")
    assert report.files == 3
    assert any("readme.md" in warning for warning in report.warnings)
    assert same(shop)
    assert shop.ingest(str(shop.sources / "logs" / "**" / "*.csv")).files == 2


def test_columns_of_another_order_and_unknown_columns(shop):
    report = shop.take("note,requests,service,reqests,ts\nx,600,cart,9,2026-11-10T20:00:00Z\n")
    assert report.rows_kept == 1
    assert len([w for w in report.warnings if "not in the contract" in w]) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "an empty file"),
        ("\n \n", "an empty file"),
        ("ts,service,requests\n", "a header without rows"),
        ("ts,service,requests\n\n\n", "a header without rows"),
        ("\nts,service,requests\na,b,1\n", "a blank line"),
        ("time,service,reqests\n2026-11-10T20:00Z,a,1\n", "'reqests' is not known, is it meant?"),
        ("2026-11-10T20:00Z,a,1\n2026-11-10T20:01Z,a,1\n", "the columns are '2026-11-10T20:00Z'"),
        ("ts,service,requests,requests\n2026-11-10T20:00Z,a,1,1\n", "2 columns of that name"),
        ('[{"ts": "2026-11-10T20:00Z", "service": "a", "requests": 1}]', "a JSON array"),
        ('{"service": "a", "requests": 1}\n', "no such column"),
        ("{broken\n", "no line that is a JSON object"),
        (b"PAR1 this is no Parquet file", "a broken Parquet file"),
        (b"PK\x03\x04 zip", "a ZIP archive or a spreadsheet"),
        ("ts,service,requests\n2026-11-10T20:00Z,a,1\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02\x03" * 10, "binary content"),
        (gzip.compress(CSV.encode(), mtime=0)[:-20], "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused_and_the_old_table_stays(shop, content, says):
    shop.take(CSV)
    with pytest.raises(InputError) as caught:
        shop.ingest(shop.file("bad.csv", content))
    assert says in str(caught.value)
    assert "bad.csv" in str(caught.value)
    assert same(shop)


def test_all_problems_of_all_files_at_once(shop):
    shop.file("logs/1.csv", "")
    shop.file("logs/2.csv", "ts,servce,requests\nx,y,1\n")
    shop.file("logs/3.csv", "service\ny\n")
    with pytest.raises(InputError) as caught:
        shop.ingest(shop.sources / "logs")
    where = [problem.where for problem in caught.value.problems]
    assert [path.split("/")[-1] for path in where] == ["1.csv", "2.csv service", "3.csv ts", "3.csv requests"]


def test_a_gzip_that_breaks_off_after_its_head_changes_nothing(shop):
    shop.take(CSV)
    long = "ts,service,requests\n" + "".join(
        f"2026-11-11T{h:02d}:{m:02d}:{s:02d}Z,x{s},{h * m}\n" for h in range(24) for m in range(60) for s in range(60)
    )
    with pytest.raises(InputError, match="cannot be read"):
        shop.ingest(shop.file("cut.csv.gz", gzip.compress(long.encode(), mtime=0)[:-100]))
    assert same(shop)


def test_nothing_there_and_no_such_table(shop):
    shop.file("traffic.csv", CSV)
    with pytest.raises(InputError, match=r"did you mean 'traffic\.csv'"):
        shop.ingest(shop.sources / "trafic.csv")
    (shop.root / "empty").mkdir()
    with pytest.raises(InputError, match="holds no CSV"):
        shop.ingest(shop.root / "empty")
    with pytest.raises(UsageError, match="did you mean 'traffic'"):
        shop.ingest(shop.sources / "traffic.csv", "traffics")
    with pytest.raises(InputError, match="Asia/Shanghai'"):
        shop.ingest(shop.sources / "traffic.csv", source_timezone="Asia/Shangai")
