"""What limits turned away on past promotion days is demand: how much of it, and how surely, the forecast counts."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

import capacity as cap
from capacity.forecast import forecast_demand
from capacity.history import DailyActivity, Traffic, order_requests
from capacity.promotion import Promotions

AS_OF = date(2025, 10, 20)
LIMITED = ("2023-double11", "2024-double11")
PER_ORDER = 1.25  # requests to checkout an order


def _limited(site, *, lost=0.4, comes_back=0.5, promotions=LIMITED):
    """The site as its logs show it when a limit kept a share of its past Double 11 orders from being placed.

    Of N people who want to order a share q of whose tries is turned away and who try again with probability p, a share
    q (1 − p) / (1 − q p) leaves without; the requests that are rejected are those lost over 1 − p.
    """
    frame = site.activity.frame.copy()
    days = pd.DatetimeIndex([day for name in promotions for day in site.promotions[name].dates])
    wanted = frame.set_index("date")["dat"].astype(float)
    turned = wanted.reindex(days) * lost
    frame.loc[frame["date"].isin(days), "dat"] = (wanted.reindex(days) - turned).round().to_numpy()
    rejected = pd.Series(0.0, index=wanted.index)
    rejected[days] = PER_ORDER * turned / (1 - comes_back)
    recorded = frame.set_index("date")["dat"]
    rows = pd.DataFrame(
        {
            "date": wanted.index,
            "service": "checkout",
            "requests": (PER_ORDER * recorded + rejected).round().astype(int).to_numpy(),
            "rejected": rejected.to_numpy(),
            "covered_fraction": 1.0,
            "per_dat": np.nan,
        }
    )
    return type(site.activity)(frame, order_requests=rows), rows


def _forecast(activity, site, **options):
    options = {"n_samples": 500, "promotions": site.promotions} | options
    return forecast_demand(activity.before(AS_OF), site.promotions["2025-double11"], **options)


def _middle(demand):
    return float(np.log(demand.total_dat.sel(date="2025-11-11").median()))


def _spread(demand):
    return float(np.log(demand.total_dat.sel(date="2025-11-11")).std())


@pytest.fixture(scope="module")
def unlimited(site):
    """The forecast had there been no limit, or had all orders been counted."""
    return _forecast(site.activity, site, n_samples=2000)


@pytest.fixture(scope="module")
def seeing(site):
    return _forecast(_limited(site)[0], site, n_samples=2000)


@pytest.mark.parametrize("comes_back", [0.2, 0.5, 0.8])
def test_a_limit_that_kept_forty_percent_away_biases_the_forecast_less(site, unlimited, comes_back):
    limited, _ = _limited(site, comes_back=comes_back)
    blind = _middle(_forecast(type(site.activity)(limited.frame), site)) - _middle(unlimited)
    assert blind < -0.3
    assert abs(_middle(_forecast(limited, site)) - _middle(unlimited)) < 0.7 * abs(blind)


def test_the_doubt_how_many_came_back_widens_and_shrinks_with_what_was_rejected(site, unlimited, seeing):
    little, _ = _limited(site, lost=0.02)
    assert _spread(seeing) > 1.05 * _spread(unlimited)
    assert _spread(_forecast(little, site, n_samples=2000)) == pytest.approx(_spread(unlimited), rel=0.05)


def test_why_says_how_much_was_added_and_what_it_does(site, seeing):
    limited, rows = _limited(site)
    demand = seeing
    line = next(line for line in demand.why if "limits hid demand" in line)
    day = "2024-11-11"
    asked = rows.set_index("date").loc[day, "rejected"] / PER_ORDER
    assert f"{day} {asked / 2:,.0f} orders" in line
    assert f"(0 to {asked:,.0f})" in line
    assert "this moves orders on the day of most orders by +" in line
    assumed = next(line for line in demand.assumptions if "some came back" in line)
    assert "checkout 1.25 (median of 180 days without rejections)" in assumed
    # The history that peaks compare requests with holds the same orders.
    history = demand.history.set_index("date")["dat"]
    recorded = limited.frame.set_index("date")["dat"]
    assert history[day] > 1.2 * recorded[day]
    assert history["2024-11-20"] == recorded["2024-11-20"]


def test_the_effect_that_is_said_is_the_one_measured(site):
    limited, _ = _limited(site, lost=0.05)
    told, blind = (_forecast(activity, site) for activity in (limited, type(site.activity)(limited.frame)))
    line = next(line for line in told.why if "limits hid demand" in line)
    said = float(line.rsplit("by ", 1)[1].rstrip("%")) / 100

    def effect(demand):
        rows = demand.components.query("metric == 'dat_per_dau'").set_index("date")
        return float(rows.loc["2025-11-11", "event"])

    # The gain is linear; the spreads, learnt anew from the raised effects, move it a little.
    assert said > 0.03
    assert np.expm1(effect(told) - effect(blind)) == pytest.approx(said, rel=0.25)


def test_rejections_outside_promotions_and_after_as_of_are_no_orders(site, unlimited):
    limited, rows = _limited(site, promotions=())
    rows = rows.copy()
    odd = rows["date"].isin(pd.DatetimeIndex(["2025-03-03", "2025-11-11"]))
    rows.loc[odd, "rejected"] = rows.loc[odd, "requests"]
    demand = _forecast(type(site.activity)(limited.frame, order_requests=rows), site, n_samples=2000)
    np.testing.assert_array_equal(demand.dat, unlimited.dat)
    assert not any("limits" in line for line in demand.why)


def test_without_traffic_it_says_that_dat_may_be_a_floor(unlimited):
    assert any("cannot be told" in line for line in unlimited.assumptions)


def test_orders_given_as_lost_are_taken_as_they_are(site, unlimited):
    limited, _ = _limited(site)
    lost = site.truth["dat"] - limited.frame.set_index("date")["dat"]
    given = lost[lost > 1].rename("dat").rename_axis("date").reset_index()
    told = _forecast(limited, site, hidden=given)
    assert _middle(told) == pytest.approx(_middle(unlimited), abs=0.03)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, site):
    """A company on disk: daily activity, hourly traffic of checkout with rejections, a catalogue that names it."""
    root = tmp_path_factory.mktemp("limited") / "shop"
    cap.create_workspace(root)
    limited, rows = _limited(site)
    (root / "data" / "services.yaml").write_text("- {name: checkout, tier: core, counts_as: transaction}\n")
    briefs = [
        f'- id: {p.id}\n  kind: "{p.kind}"\n  starts_at: {p.starts_at.isoformat()}\n  ends_at: {p.ends_at.isoformat()}'
        for p in site.promotions.values()
    ]
    (root / "data" / "promotions.yaml").write_text("\n".join(briefs) + "\n")
    ws = cap.Workspace(root)
    ws.store.write("daily_activity", limited.frame)
    hours = pd.date_range(rows["date"].iloc[0], periods=24 * len(rows), freq="h", tz="Asia/Shanghai")
    each = {name: np.repeat((rows[name] / 24).round().astype(int).to_numpy(), 24) for name in ("requests", "rejected")}
    ws.store.write("traffic", pd.DataFrame({"ts": hours, "service": "checkout", **each}))
    return root


def test_the_workspaces_daily_activity_carries_it(workspace, unlimited):
    ws = cap.Workspace(workspace, as_of=AS_OF)
    promotion = ws.promotions["2025-double11"]
    demand = cap.forecast_demand(ws.daily_activity(), promotion, promotions=ws.promotions, lessons=ws.lessons)
    blind = DailyActivity.from_frame(ws.daily_activity().frame, timezone="Asia/Shanghai", country="CN", as_of=AS_OF)
    plain = cap.forecast_demand(blind, promotion, promotions=ws.promotions)
    truth = _middle(unlimited)
    assert abs(_middle(demand) - truth) < 0.7 * abs(_middle(plain) - truth)
    assert ws.daily_activity().order_requests["date"].max() == pd.Timestamp("2025-10-19")


def test_a_catalogue_without_a_counting_service_tells_nothing(workspace):
    ws = cap.Workspace(workspace, as_of=AS_OF)
    catalog = cap.Catalog.from_services([ws.services["checkout"].model_copy(update={"counts_as": None})])
    assert order_requests(ws.traffic(), catalog).empty


def test_requests_per_order_are_the_catalogues_where_traffic_cannot_tell():
    rows = pd.DataFrame({"ts": ["2024-11-11 00:00"], "service": ["checkout"], "requests": [900], "rejected": [400]})
    traffic = Traffic.from_frame(rows, timezone="Asia/Shanghai")
    services = [cap.Service(name="checkout", tier="core", counts_as="transaction", entry={"per_dat": 2.0})]
    asked = order_requests(traffic, cap.Catalog.from_services(services))
    dates = pd.date_range("2024-10-01", "2024-11-20")
    frame = pd.DataFrame({"date": dates, "segment": "total", "dau": 1000, "dat": 100})
    sale = cap.Promotion(id="a", kind="k", starts_at="2024-11-11T00:00+08:00", ends_at="2024-11-12T00:00+08:00")
    coming = sale.model_copy(
        update={"id": "b", "starts_at": sale.starts_at.replace(month=12), "ends_at": sale.ends_at.replace(month=12)}
    )
    history = DailyActivity.from_frame(frame, timezone="Asia/Shanghai").with_order_requests(lambda: asked)
    demand = forecast_demand(history, coming, promotions=Promotions([sale, coming]), n_samples=50)
    assert any("2024-11-11 100 orders" in line and "(0 to 200)" in line for line in demand.why)
    assert any("checkout 2 (the catalogue's per_dat)" in line for line in demand.assumptions)
