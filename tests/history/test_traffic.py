"""Rollups against plain pandas and against known truth."""

from datetime import date
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from capacity.errors import InputError, UsageError
from capacity.history import Store, Traffic

ZONE = ZoneInfo("Asia/Shanghai")


def at(text):
    return pd.Timestamp(text, tz=ZONE).to_pydatetime()


@pytest.fixture(scope="module")
def frame():
    """Three days: hours, then minutes from 18:00 of the second day, a gap, two services, tests and rejects."""
    rng = np.random.default_rng(5)
    hours = pd.date_range("2026-11-09", "2026-11-10 18:00", freq="h", tz=ZONE, inclusive="left")
    minutes = pd.date_range("2026-11-10 18:00", "2026-11-12", freq="min", tz=ZONE, inclusive="left")
    minutes = minutes[(minutes < at("2026-11-11 03:00")) | (minutes >= at("2026-11-11 04:30"))]
    parts = []
    for service, scale in (("cart", 10.0), ("search", 100.0)):
        for ts, width in ((hours, 3600), (minutes, 60)):
            n = len(ts)
            mean = scale * width * (1 + 0.5 * np.sin(np.arange(n)))
            requests = rng.poisson(mean)
            part = pd.DataFrame({"ts": ts, "service": service, "requests": requests, "width": width})
            part["rejected"] = pd.array(requests // 20, dtype="Int64")
            part["errors"] = requests // 50
            part["test_requests"] = np.where(np.arange(n) % 7 == 0, requests // 10, 0)
            part["peak_qps"] = np.ceil(requests / width * 1.5)
            part["p99_ms"] = np.where(np.arange(n) % 5 == 0, np.nan, 100 + requests / width)
            part["instances"] = 4 if service == "cart" else 10
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def traffic(frame):
    return Traffic.from_frame(frame.drop(columns="width"), timezone="Asia/Shanghai")


@pytest.fixture(scope="module")
def stored(frame, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"), timezone="Asia/Shanghai")
    store.write("traffic", frame.drop(columns="width"))
    return store


def test_the_same_answers_from_a_frame_and_from_the_store(traffic, stored):
    other = stored.traffic()
    assert other.services == traffic.services == ("cart", "search")
    for ask in (
        lambda t: t.daily(),
        lambda t: t.window(at("2026-11-10 17:00"), at("2026-11-10 19:00")),
        lambda t: t.block_maxima("1h"),
        lambda t: t.dispersion(),
        lambda t: t.proven(),
        lambda t: t.typical_day(before=date(2026, 11, 12)),
    ):
        pd.testing.assert_frame_equal(ask(traffic), ask(other))


def test_an_engine_of_another_kind_answers_the_same(frame, traffic, tmp_path):
    import duckdb

    path = tmp_path / "logs.duckdb"
    with duckdb.connect(str(path)) as con:
        raw = frame[["ts", "service", "requests"]].assign(ts=frame["ts"].dt.tz_convert("UTC").dt.tz_localize(None))
        con.register("raw", raw)
        con.execute("CREATE TABLE traffic AS SELECT * FROM raw")
    there = Store(tmp_path, timezone="Asia/Shanghai", engine=f"duckdb://{path}").traffic(as_of=date(2026, 11, 11))
    here = Traffic.from_frame(frame[["ts", "service", "requests"]], timezone="Asia/Shanghai", as_of=date(2026, 11, 11))
    pd.testing.assert_frame_equal(there.daily(), here.daily())
    pd.testing.assert_frame_equal(there.block_maxima(), here.block_maxima())
    span = at("2026-11-10 17:00"), at("2026-11-12 00:00")
    pd.testing.assert_frame_equal(there.window(*span), here.window(*span))


def test_daily_sums_are_pandas_sums(frame, traffic):
    daily = traffic.daily().set_index(["date", "service"])
    own = frame.assign(
        date=frame["ts"].dt.tz_localize(None).dt.normalize(), net=frame["requests"] - frame["test_requests"]
    )
    grouped = own.groupby(["date", "service"])
    assert daily["requests"].tolist() == grouped["net"].sum().tolist()
    for name in ("rejected", "errors", "test_requests"):
        assert daily[name].tolist() == grouped[name].sum().astype(float).tolist()
    assert daily["bot_requests"].isna().all()
    assert np.allclose(daily["covered_fraction"], grouped["width"].sum() / 86400)
    assert daily.loc[(pd.Timestamp("2026-11-11"), "cart"), "covered_fraction"] == pytest.approx(1 - 1.5 / 24)


def test_window_is_the_rows_in_order(frame, traffic):
    found = traffic.window(at("2026-11-10 17:00"), at("2026-11-10 18:02"), ["cart"])
    own = frame[
        (frame["service"] == "cart") & (frame["ts"] >= at("2026-11-10 17:00")) & (frame["ts"] < at("2026-11-10 18:02"))
    ]
    assert found["ts"].tolist() == own["ts"].tolist()
    assert str(found["ts"].dtype) == "datetime64[us, Asia/Shanghai]"
    assert found["interval_s"].tolist() == [3600, 60, 60]
    assert found["requests"].tolist() == (own["requests"] - own["test_requests"]).tolist()
    assert found["p50_ms"].isna().all()
    assert len(traffic.window(at("2026-11-10 17:00"), at("2026-11-10 18:02"), [])) == 0
    with pytest.raises(UsageError, match="without a zone"):
        traffic.window(at("2026-11-10").replace(tzinfo=None), at("2026-11-11"))


@pytest.mark.parametrize("block", ["1D", "6h", "1h", "30min"])
def test_block_maxima_are_pandas_maxima(frame, traffic, block):
    found = traffic.block_maxima(block).set_index(["block_at", "service"])
    own = frame.assign(
        rate=(frame["requests"] - frame["test_requests"]) / frame["width"],
        second=frame["peak_qps"].where(frame["test_requests"] == 0),
        block_at=frame["ts"].dt.floor(block) if block != "1D" else frame["ts"].dt.normalize(),
    )
    if block == "6h":
        own["block_at"] = own["ts"].dt.tz_localize(None).dt.floor("6h").dt.tz_localize(ZONE)
    grouped = own.groupby(["block_at", "service"])
    best = own.loc[grouped["rate"].idxmax()].set_index(["block_at", "service"])
    assert np.allclose(found["max_requests_per_s"], best["rate"])
    assert found["max_at"].tolist() == best["ts"].tolist()
    assert found["interval_s"].tolist() == best["width"].tolist()
    assert np.allclose(found["peak_qps"], grouped["second"].max(), equal_nan=True)
    assert list(found.index) == list(best.index)


def test_blocks_over_a_clock_change():
    ts = pd.date_range("2026-10-24", "2026-10-27", freq="h", tz="Europe/London", inclusive="left")
    rows = pd.DataFrame({"ts": ts, "service": "a", "requests": range(len(ts))})
    traffic = Traffic.from_frame(rows, timezone="Europe/London")
    days = traffic.block_maxima("1D")
    assert [str(d) for d in days["block_at"]] == [
        "2026-10-24 00:00:00+01:00",
        "2026-10-25 00:00:00+01:00",
        "2026-10-26 00:00:00+00:00",
    ]
    assert traffic.block_maxima("1h")["block_at"].tolist() == ts.tolist()
    assert traffic.daily()["covered_fraction"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("block", ["", "0h", "1 day", "h1", "-1h", "1.5h", "1w"])
def test_a_block_that_is_no_length(traffic, block):
    with pytest.raises(InputError, match="block"):
        traffic.block_maxima(block)


def test_nothing_at_or_after_as_of_is_visible(frame, stored):
    for traffic in (
        stored.traffic(as_of=date(2026, 11, 11)),
        Traffic.from_frame(frame.drop(columns="width"), timezone="Asia/Shanghai", as_of=date(2026, 11, 11)),
    ):
        midnight = at("2026-11-11")
        assert traffic.last_at == at("2026-11-10 23:59")
        assert traffic.window(at("2026-11-01"), at("2026-12-01"))["ts"].max() < midnight
        assert traffic.daily()["date"].max() == pd.Timestamp("2026-11-10")
        assert traffic.block_maxima("1h")["max_at"].max() < midnight
        assert traffic.proven()["ts"].max() < midnight
        assert traffic.sums(pd.DataFrame({"start_s": [0], "end_s": [2**32]}))["covered_s"].tolist() == [2 * 86400] * 2
        typical = traffic.typical_day(before=date(2026, 12, 1))
        assert typical["minute_of_day"].diff().max() == 60
    assert stored.traffic(as_of=date(2026, 11, 9)).is_empty


def test_proven_is_the_busiest_within_the_objective(frame, traffic):
    own = frame.assign(served=frame["requests"] - frame["rejected"].astype(int))
    own["each"] = own["served"] / own["width"] / own["instances"]
    everything = traffic.proven(top=5)
    for name, part in everything.groupby("service"):
        assert np.allclose(part["qps_per_instance"], own.loc[own["service"] == name, "each"].nlargest(5))
    held = traffic.proven({"search": SimpleNamespace(p99_ms=200.0, p95_ms=None, error_fraction=0.03)}, top=5)
    inside = own[(own["service"] == "search") & (own["p99_ms"] <= 200) & (own["errors"] / own["served"] <= 0.03)]
    assert np.allclose(held["qps_per_instance"], inside["each"].nlargest(5))
    assert traffic.proven(SimpleNamespace(p95_ms=100.0)).empty  # a latency nobody measured proves nothing


def test_the_typical_day_forgets_one_wild_day():
    minutes = pd.date_range("2026-10-01", periods=10 * 1440, freq="min", tz=ZONE)
    shape = 1 + np.sin(2 * np.pi * (np.arange(1440) - 480) / 1440) ** 2
    requests = np.tile(shape, 10) * 1000
    requests[3 * 1440 + 1200 : 3 * 1440 + 1260] *= 30
    rows = pd.DataFrame({"ts": minutes, "service": "a", "requests": requests.astype(int)})
    traffic = Traffic.from_frame(rows, timezone="Asia/Shanghai")
    typical = traffic.typical_day(before=date(2026, 10, 11))
    assert typical["minute_of_day"].tolist() == list(range(1440))
    assert typical["share"].sum() == pytest.approx(1)
    assert np.abs(typical["share"] / (shape / shape.sum()) - 1).max() < 0.01
    assert traffic.typical_day(before=date(2026, 10, 1)).empty
    assert traffic.typical_day(["b"], before=date(2026, 10, 11)).empty


def test_the_typical_day_of_rare_requests_and_of_mixed_widths():
    rng = np.random.default_rng(0)
    minutes = pd.date_range("2026-10-01", periods=14 * 1440, freq="min", tz=ZONE)
    rare = minutes[(rng.random(len(minutes)) < 0.02) & (minutes.hour >= 12)]
    hours = pd.date_range("2026-10-01", periods=10 * 24, freq="h", tz=ZONE)
    mixed = hours.append(minutes[10 * 1440 :])
    rows = pd.concat(
        [
            pd.DataFrame({"ts": rare, "service": "rare", "requests": 1}),
            pd.DataFrame({"ts": mixed, "service": "mixed", "requests": np.where(mixed < hours[-1], 3600, 60)}),
        ]
    )
    typical = Traffic.from_frame(rows, timezone="Asia/Shanghai").typical_day(before=date(2026, 10, 15))
    of_rare = typical[typical["service"] == "rare"]
    assert of_rare["share"].sum() == pytest.approx(1)
    assert of_rare.loc[of_rare["minute_of_day"] < 720, "share"].sum() == 0
    of_mixed = typical[typical["service"] == "mixed"]
    assert of_mixed["minute_of_day"].tolist() == list(range(0, 1440, 60))
    assert np.allclose(of_mixed["share"], 1 / 24, rtol=0.01)


@pytest.mark.parametrize("phi", [0.0, 0.003, 0.03, 0.2])
@pytest.mark.parametrize("rate", [30.0, 3000.0])
def test_dispersion_recovers_the_truth(phi, rate):
    rng = np.random.default_rng(int(1e4 * phi + rate))
    lam = rate * (1 + 0.5 * np.sin(np.arange(2000) / 100))[:, None] * np.ones(60)
    counts = rng.poisson(lam * (rng.gamma(1 / phi, phi, lam.shape) if phi else 1.0))
    ts = pd.date_range("2026-10-01", periods=2000, freq="min", tz=ZONE)
    rows = pd.DataFrame({"ts": ts, "service": "a", "requests": counts.sum(1), "peak_qps": counts.max(1).astype(float)})
    found = Traffic.from_frame(rows, timezone="Asia/Shanghai").dispersion().iloc[0]
    assert found["n"] == 2000
    assert found["phi"] == pytest.approx(phi, rel=0.1, abs=0.15 / rate)


def test_dispersion_is_unknown_where_nothing_tells(minutes):
    plain = minutes("2026-11-10", 100)
    hourly = minutes("2026-11-10", 100, service="hourly", freq="h", requests=360_000).assign(peak_qps=500.0)
    traffic = Traffic.from_frame(pd.concat([plain, hourly]), timezone="Asia/Shanghai")
    found = traffic.dispersion()
    assert found["service"].tolist() == ["cart", "hourly"]
    assert found["phi"].isna().all()
    assert found["n"].tolist() == [0, 0]


def test_interval_s_is_the_width_that_speaks_for_most(traffic):
    assert traffic.interval_s().to_dict() == {"cart": 3600, "search": 3600}
    assert traffic.interval_s(at("2026-11-10 20:00"), at("2026-11-11 01:00")).to_dict() == {"cart": 60, "search": 60}


def test_no_history_at_all(tmp_path):
    store = Store(tmp_path, timezone="Asia/Shanghai")
    for traffic in (
        store.traffic(),
        Traffic.from_frame(pd.DataFrame(), timezone="UTC"),
        store.traffic(as_of=date(2026, 1, 1)),
    ):
        assert traffic.is_empty
        assert (traffic.services, traffic.first_at, traffic.last_at) == ((), None, None)
        assert repr(traffic) == "<Traffic: empty>"
        for frame in (
            traffic.daily(),
            traffic.window(at("2026-01-01"), at("2026-02-01")),
            traffic.block_maxima(),
            traffic.dispersion(),
            traffic.proven(),
            traffic.typical_day(before=date(2026, 1, 1)),
            traffic.interval_s(),
        ):
            assert len(frame) == 0
        assert "service" in traffic.daily()
    assert store.daily_activity().frame.empty
    assert store.daily_activity().first_forecast_day is None
    assert store.first_unknown_day() is None
    assert store.calls().empty
    assert store.inputs() == []


def test_one_day_of_history(minutes):
    traffic = Traffic.from_frame(minutes("2026-11-10", 24, freq="h", requests=3600), timezone="Asia/Shanghai")
    assert traffic.daily()["covered_fraction"].tolist() == [1.0]
    assert traffic.typical_day(before=date(2026, 11, 11))["share"].tolist() == pytest.approx([1 / 24] * 24)


def test_an_unknown_zone(minutes):
    with pytest.raises(InputError, match="did you mean 'Asia/Shanghai'"):
        Traffic.from_frame(minutes("2026-11-10", 3), timezone="Asia/Shangai")


def test_the_first_of_intervals_as_busy_as_each_other_is_named():
    at = pd.date_range("2026-03-01", periods=86_400, freq="s", tz="UTC")  # enough rows for several threads
    frame = pd.DataFrame({"ts": at, "service": "shop", "requests": 7})
    for _ in range(5):
        busiest = Traffic.from_frame(frame, timezone="UTC").block_maxima("1h")
        assert (busiest["max_at"] == busiest["block_at"]).all()
