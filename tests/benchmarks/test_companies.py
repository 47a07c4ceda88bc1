"""A company of the second family goes all the way: files, ingest, check, plan, judgement, panels for peers."""

import pandas as pd
import pytest

from benchmarks import companies
from benchmarks.companies import Case, judge, summarize
from benchmarks.judgement import OURS
from benchmarks.naive_peaks import GROWTH, TWENTY
from benchmarks.panels import daily_panels, peer_rows
from capacity.cli.main import run
from capacity.workspace import Workspace, create_workspace


@pytest.fixture(scope="module")
def result(second_company):
    case = Case(second_company, second_company.promotion, second_company.before, second_company.as_of.isoformat())
    kept = companies.FAMILIES["second"]
    companies.FAMILIES["second"] = (lambda seed: case, 0)
    try:
        return judge(second_company.seed, "second", futures=30)
    finally:
        companies.FAMILIES["second"] = kept


def test_the_files_pass_check_and_the_tables_are_taken_in(second_company, tmp_path, capsys):
    create_workspace(tmp_path / "shop", sample=second_company)
    assert run(["-w", str(tmp_path / "shop"), "check"]) == 0
    assert "no problems" in capsys.readouterr().out
    ws = Workspace(tmp_path / "shop")
    assert len(ws.daily_activity().frame) == len(second_company.daily_activity)
    assert set(ws.traffic().services) == set(second_company.truth.tiers)
    assert len(ws.calls()) == len(second_company.calls[["caller", "callee"]].drop_duplicates())


def test_judging_speaks_of_every_day_and_service(second_company, result):
    frame = pd.DataFrame(result["rows"])
    truth, promotion = second_company.truth, second_company.promotion
    ours = frame[frame["forecaster"] == OURS]
    assert set(ours[ours["metric"] == "dau"]["name"]) == set(truth.dau[promotion])
    assert set(ours[ours["metric"] == "dat"]["name"]) == set(truth.dat[promotion])
    assert set(ours[ours["metric"] == "peak_qps"]["name"]) == set(truth.tiers)
    assert ((ours["q05"] <= ours["q50"]) & (ours["q50"] <= ours["q95"])).all()
    for rule in (GROWTH, TWENTY):
        naive = frame[frame["forecaster"] == rule]
        assert set(naive["name"]) <= set(truth.tiers)
        assert (naive["q05"] < naive["q95"]).all()
    before = truth.offered_peak_qps[second_company.before]
    twenty = frame[frame["forecaster"] == TWENTY].set_index("name")["q50"]
    for name, value in twenty.items():
        during = max(qps for phase, qps in before[name].items() if phase not in {"before", "after"})
        assert value <= 1.2 * during * 1.0001  # what a limit cut was not recorded


def test_panels_know_nothing_of_the_future(second_company, result):
    (panel,) = daily_panels([result])
    assert panel.history["date"].max() < pd.Timestamp(second_company.as_of)
    assert panel.truth["date"].min() >= pd.Timestamp(second_company.as_of)
    assert set(panel.history["series"]) == set(panel.truth["series"]) == {"dau", "dat"}
    assert panel.horizon == (panel.truth["date"].max().date() - second_company.as_of).days + 1
    assert panel.country == "SG"
    target = panel.events[panel.events["starts_on"] == panel.truth["date"].min().date()]
    assert target["kind"].tolist() == ["11.11"]


def test_peers_are_judged_beside_ours(result):
    def constant(panels):
        days = pd.concat([panel.truth.assign(company=panel.company) for panel in panels])
        return days.assign(peer="oracle", q05=days["value"] * 0.99, q50=days["value"], q95=days["value"] * 1.01)

    tables = summarize([result, result | {"seed": 1}], constant)
    intervals = tables["90 % intervals"].set_index(["metric", "forecaster"])
    assert intervals.loc[("dau", "oracle"), "inside_90"] == 1.0
    duels = tables["Interval score, ours ÷ peer's (below 1 is better)"].set_index(["metric", "peer"])
    assert duels.loc[("dat", "oracle"), "score_ratio"] > 1
    assert {(GROWTH), (TWENTY)} <= set(duels.loc["peak_qps"].index)
    assert len(tables["Plans"]) == 6
    assert (tables["Price of not knowing"]["median"] > 0.5).all()
    assert tables["Planners"]["planner"].tolist() == ["plan", "rule of thumb", "knowing planner", "seer"]


def test_forecasts_without_their_columns_are_refused(result):
    with pytest.raises(ValueError, match="q95"):
        peer_rows(daily_panels([result]), pd.DataFrame(columns=["peer", "company", "series", "date", "q05", "q50"]))
