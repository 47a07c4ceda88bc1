"""Daily activity, calls, the drafted catalogue, inputs."""

import hashlib
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml

from capacity.catalog import parse_services
from capacity.errors import InputError
from capacity.history import DailyActivity, draft_services

HEADER = "date,segment,dau,dat\n"


def activity(rows, **options):
    frame = pd.DataFrame(rows, columns=["date", "segment", "dau", "dat"])
    return DailyActivity.from_frame(frame, timezone="Asia/Shanghai", **options)


def test_a_total_is_taken_and_a_sum_is_an_upper_bound():
    both = activity(
        [
            ("2026-11-10", "app", 900, 80),
            ("2026-11-10", "web", 300, 7),
            ("2026-11-10", "total", 1100, 87),
            ("2026-11-11", "app", 950, 81),
            ("2026-11-11", "web", 310, 8),
        ]
    )
    assert both.has_total
    assert both.segments == ("app", "web")
    totals = both.totals()
    assert totals["dau"].tolist() == [1100, 1260]
    assert totals["dat"].tolist() == [87, 89]
    assert totals["dau_is_upper_bound"].tolist() == [False, True]
    assert both.first_forecast_day == date(2026, 11, 12)


def test_a_day_on_which_a_segment_lost_its_logs_is_unknown_not_small():
    rows = [(f"2026-11-{d:02d}", s, 100, 10) for d in range(1, 6) for s in ("app", "web") if (d, s) != (3, "web")]
    rows[0] = ("2026-11-01", "app", None, 10)
    totals = activity([*rows, ("2026-11-05", "new", 1, 1)]).totals()
    assert totals["dau"].isna().tolist() == [False, False, True, False, False]
    assert totals["dau"].tolist()[3:] == [200, 201]
    assert totals["dat"].tolist()[0] == 20


def test_one_series_without_segments_is_the_total(shop):
    shop.take("date,dau,dat\n2026-11-10,900,80\n2026-11-11,2000,\n", "daily_activity")
    found = shop.store.daily_activity(as_of=date(2026, 11, 12), country="CN")
    assert found.frame["segment"].tolist() == ["total", "total"]
    assert found.totals()["dau_is_upper_bound"].tolist() == [False, False]
    assert found.frame["dat"].isna().tolist() == [False, True]
    assert str(found.frame["dau"].dtype) == "Int64"
    assert found.country == "CN"
    assert shop.store.first_unknown_day() == date(2026, 11, 12)


def test_as_of_hides_that_day_and_later(shop):
    shop.take("date,dau,dat\n2026-11-10,900,80\n2026-11-11,2000,90\n2026-11-12,5,5\n", "daily_activity")
    found = shop.store.daily_activity(as_of=date(2026, 11, 11))
    assert found.frame["date"].tolist() == [pd.Timestamp("2026-11-10")]
    assert found.first_forecast_day == date(2026, 11, 11)
    empty = shop.store.daily_activity(as_of=date(2026, 11, 10))
    assert empty.frame.empty
    assert empty.totals().empty
    assert not empty.has_total


BAD_DAYS = [
    ("2026-11-31,app,1,1", "date: not a day such as 2026-11-11"),
    ("11/11/2026,app,1,1", "date: not a day such as 2026-11-11"),
    ("2026-11-11T07:00,app,1,1", "date: not a day such as 2026-11-11"),
    (",app,1,1", "date: empty"),
    ("2026-11-11,,1,1", "segment: empty"),
    ("2026-11-11,app,,", "dau and dat are both unknown"),
    ("2026-11-11,app,-1,1", "dau: negative"),
    ("2026-11-11,app,1e11,1", "dau: above 1e+10, not a measurement"),
    ("2026-11-11,app,1,1e18", "dat: above 1e+12, not a measurement"),
    ("2026-11-11,app,nan,1", "dau: NaN (unknown is an empty cell)"),
    ("2026-11-11,app,1,0.5", "dat: not a whole number"),
]


def test_bad_days(shop):
    lines = "".join(f"{bad}\n" for bad, _ in BAD_DAYS)
    report = shop.take(HEADER + "2026-11-10 00:00:00,app,9,1\n" + lines, "daily_activity")
    aside = pd.read_csv(shop.root / report.rejected_path)
    assert aside["reason"].tolist() == [reason for _, reason in BAD_DAYS]
    assert aside["line"].tolist() == list(range(3, 3 + len(BAD_DAYS)))
    assert report.rows_kept == 1


def test_missing_days_and_totals_that_cannot_be_are_told(shop):
    rows = "2026-11-01,app,9,1\n2026-11-02,app,9,1\n2026-11-05,app,9,1\n"
    rows += "2026-11-01,total,5,1\n2026-11-02,total,99,7\n2026-11-02,web,1,1\n"
    report = shop.take(HEADER + rows, "daily_activity")
    assert report.inspection.n_gaps == 1
    assert report.gaps.iloc[0]["missing_s"] == 2 * 86400
    said = " ".join(report.warnings)
    for part in (
        "above the sum of the segments",
        "below its largest segment",
        "not the sum",
        "no row with segment 'total'",
    ):
        assert part in said


def test_a_parquet_day_in_any_type(shop):
    days = pd.to_datetime(["2026-11-10", "2026-11-11"])
    kinds = [days, days.tz_localize("Asia/Shanghai"), days.date, days.strftime("%Y-%m-%d")]
    for n, kind in enumerate(kinds):
        path = shop.sources / f"{n}.parquet"
        pd.DataFrame({"date": kind, "segment": f"s{n}", "dau": [1.0, np.nan], "dat": [1, 2]}).to_parquet(path)
        assert shop.ingest(path, "daily_activity").rows_rejected == 0
    frame = shop.store.daily_activity().frame
    assert frame.groupby("segment")["date"].apply(lambda dates: str(list(dates))).unique().size == 1
    assert frame["dau"].isna().sum() == 4


def test_calls_become_means_per_request(shop, minutes):
    shop.store.write(
        "traffic",
        pd.concat(
            [
                minutes("2026-11-10", 2880, requests=100),
                minutes("2026-11-10", 1440, service="search", requests=10),
            ]
        ),
    )
    header = "caller,callee,calls,retries,window_start,window_end\n"
    day = ["2026-11-10T00:00,2026-11-11T00:00", "2026-11-11T00:00,2026-11-12T00:00"]
    shop.take(
        header
        + f"cart,stock,303000,15000,{day[0]}\ncart,stock,288000,0,{day[1]}\ncart,rare,2880,,{day[0]}\n"
        + f"search,stock,28800,0,{day[0]}\nsearch,stock,5,0,{day[1]}\nghost,stock,7,0,{day[0]}\n",
        "calls",
    )
    calls = shop.store.calls().set_index(["caller", "callee"])
    assert calls.loc[("cart", "stock"), "per_request"] == pytest.approx(2.0)
    assert calls.loc[("cart", "rare"), "per_request"] == pytest.approx(0.01)  # not called at all on the second day
    assert calls.loc[("search", "stock"), "per_request"] == pytest.approx(2.0)  # its second day has no traffic
    assert np.isnan(calls.loc[("ghost", "stock"), "per_request"])
    assert calls.loc[("cart", "stock"), "calls"] == 591000
    assert np.isnan(calls.loc[("cart", "rare"), "retries"])
    early = shop.store.calls(as_of=date(2026, 11, 11)).set_index(["caller", "callee"])
    assert early.loc[("cart", "stock"), "calls"] == 303000
    assert early.loc[("cart", "rare"), "per_request"] == pytest.approx(0.02)


@pytest.mark.parametrize("wrap", [lambda edges: edges, lambda edges: {"data": edges, "total": 0, "errors": None}])
def test_dependencies_of_tracing(shop, wrap):
    edges = [
        {"parent": "a", "child": "b", "callCount": 5, "errorCount": 1},
        {"parent": "b", "child": "c", "callCount": 7},
    ]
    report = shop.take(json.dumps(wrap(edges), indent=1), "calls", name="deps.json")
    assert report.rows_kept == 2
    assert any("no window" in warning for warning in report.warnings)
    found = shop.store.calls(as_of=date(2026, 1, 1))
    assert found[["caller", "callee", "calls"]].to_numpy().tolist() == [["a", "b", 5], ["b", "c", 7]]
    window = {"window_start": "2026-11-10T00:00+08:00", "window_end": "2026-11-11T00:00+08:00"}
    dated = {"data": edges, **window}
    assert not shop.take(json.dumps(dated), "calls", name="deps.json").warnings


@pytest.mark.parametrize("text", ["[]", "[1]", '{"data": 5}', "[{", '{"data": [{"parent": "a"}]}'])
def test_what_is_no_dependencies(shop, text):
    with pytest.raises(InputError):
        shop.take(text, "calls", name="deps.json")


BAD_CALLS = [
    ("a,a,1,,,", "caller calls itself"),
    ("a,b,1,2,,", "retries above calls, in which they are counted"),
    ("a,b,1,,2026-11-10T00:00,", "window_start and window_end: one without the other"),
    ("a,b,1,,2026-11-10T00:00,2026-11-10T00:00", "window_end not after window_start"),
    (",b,1,,,", "caller: empty"),
    ("a,b,,,,", "calls: empty"),
]


def test_bad_calls(shop):
    lines = "".join(f"{bad}\n" for bad, _ in BAD_CALLS)
    report = shop.take(f"caller,callee,calls,retries,window_start,window_end\nx,y,1,,,\n{lines}", "calls")
    aside = pd.read_csv(shop.root / report.rejected_path)
    assert aside["reason"].tolist() == [reason for _, reason in BAD_CALLS]
    assert report.rows_kept == 1


def test_a_draft_is_a_catalogue(shop, minutes):
    names = [
        "cart",
        "it's",
        "a: b",
        "null",
        "双11 🛒",
        "<script>",
        "- x",
        "#c",
        "{y}",
        "'q\"",
        "a\u0085b\u200bc",
        "line",
        "1.0",
    ]
    shop.store.write(
        "traffic", pd.concat([minutes("2026-11-10", 1440, service=n, requests=60).assign(instances=3) for n in names])
    )
    edges = [("cart", n, 2) for n in names[1:]] + [("it's", "a: b", 1), ("line", "hidden", 1)]
    window = {"window_start": "2026-11-10", "window_end": "2026-11-11"}
    calls = pd.DataFrame([(a, b, c * 86400) for a, b, c in edges], columns=["caller", "callee", "calls"]).assign(
        **{name: pd.Timestamp(value, tz="Asia/Shanghai") for name, value in window.items()}
    )
    shop.store.write("calls", calls)
    text = draft_services(shop.store.traffic(), shop.store.calls())
    catalog = parse_services(text)
    assert set(catalog) == {*names, "hidden"}
    assert next(iter(catalog)) == "cart"
    assert {call.to: call.per_request for call in catalog["cart"].calls} == dict.fromkeys(names[1:], 2.0)
    assert catalog["cart"].instances == 3
    assert "its own traffic was not ingested" in text
    only_new = yaml.safe_load(draft_services(shop.store.traffic(), shop.store.calls(), existing=names))
    assert [service["name"] for service in only_new] == ["hidden"]


def test_a_draft_of_nothing_is_an_empty_catalogue(shop):
    assert len(parse_services(draft_services(shop.store.traffic(), shop.store.calls()))) == 0


def test_a_measured_graph_with_a_circle_is_drafted_all_the_same(shop):
    calls = pd.DataFrame({"caller": ["a", "b"], "callee": ["b", "a"], "calls": [1, 1]})
    assert [s["name"] for s in yaml.safe_load(draft_services(shop.store.traffic(), calls))] == ["a", "b"]


def test_inputs_name_files_that_are_there(shop, minutes):
    shop.store.write("traffic", pd.concat([minutes("2026-10-10", 100), minutes("2026-11-10", 100)]))
    inputs = shop.store.inputs()
    for part in inputs:
        assert hashlib.sha256((shop.root / part["path"]).read_bytes()).hexdigest() == part["sha256"]
    assert sum(part["rows"] for part in inputs) == 200
    assert len(shop.store.inputs(as_of=date(2026, 11, 1))) == 1


def test_the_real_shop(shop, shared_data):
    """Recipe: invoices a minute are traffic, distinct customers the DAU; see benchmarks."""
    orders = pd.read_csv(shared_data / "online_retail/orders.csv.gz", dtype=str, parse_dates=["ordered_at"])
    counts = orders["ordered_at"].dt.floor("min").value_counts()
    counts.rename_axis("ts").reset_index(name="requests").assign(service="shop").to_csv(
        shop.sources / "t.csv.gz", index=False
    )
    report = shop.ingest(shop.sources / "t.csv.gz", source_timezone="Europe/London")
    assert report.rows_rejected == 0
    traffic = shop.store.traffic()
    assert traffic.daily()["requests"].sum() == len(orders)
    assert (traffic.window(traffic.first_at, pd.Timestamp("2013-01-01", tz="UTC"))["interval_s"] <= 60).mean() > 0.95


def test_the_real_load_balancer(shop, shared_data):
    rows = pd.read_csv(shared_data / "rates/elb_request_count_8c0756.csv")
    rows = rows.rename(columns={"timestamp": "ts", "value": "requests"}).assign(service="elb")
    rows.to_csv(shop.sources / "elb.csv", index=False)
    report = shop.ingest(shop.sources / "elb.csv", source_timezone="UTC")
    assert report.rows_rejected + report.duplicates + report.rows_kept == len(rows)
    widths = shop.rows()["interval_s"].value_counts()
    assert widths.idxmax() == 300
    assert widths[300] / widths.sum() > 0.98
    assert report.inspection.n_gaps > 0


def test_calls_without_the_callers_traffic_are_left_out_and_said(shop):
    shop.take("caller,callee,calls,window_start,window_end\na,b,5,2026-11-10T00:00,2026-11-11T00:00\n", "calls")
    catalog = parse_services("- {name: a, tier: core}\n- {name: b, tier: core}\n").with_calls(shop.store.calls())
    assert not catalog["a"].calls
    assert any("no traffic in the same time are left out: a → b" in said for said in catalog.assumptions())
