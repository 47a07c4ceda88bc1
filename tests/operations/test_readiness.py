"""What is open is gathered with owner and day; what breaks the promise stands first."""

from datetime import date

import pytest

from capacity.lessons import Action
from capacity.operations import check_readiness
from capacity.plan import make_plan
from capacity.plan.evaluation import Gap
from capacity.settings import Risk
from tests.plan.conftest import CAPACITY, ENTRY_QPS, curves_of, peaks_of, promotion, shop

FREEZE = {"starts_at": "2026-11-08T00:00+08:00", "ends_at": "2026-11-13T00:00+08:00"}


def plan_of(**capacity):
    catalog = shop()
    peaks = peaks_of(catalog, ENTRY_QPS, n=200, freeze=FREEZE)
    return make_plan(peaks, curves_of(catalog, CAPACITY | capacity, n=200), services=catalog, risk=Risk())


@pytest.fixture(scope="module")
def plan():
    return plan_of()


def check(plan, **more):
    given = {"promotion": promotion(freeze=FREEZE), "as_of": date(2026, 11, 1), "approved_by": "ada", **more}
    return check_readiness(plan, **given)


def test_a_feasible_signed_plan_is_ready_and_its_scale_up_is_listed(plan):
    found = check(plan)
    assert plan.feasible
    assert found.state == "ready"
    assert "ready; the chance" in found.summary()
    scaled = {item.service: item for item in found.items if item.kind == "scale"}
    grown = {name for name, s in plan.document["services"].items() if s["instances"] > s["instances_now"]}
    assert set(scaled) == {name for name in grown if plan.services[name].runs_on is None}
    one = scaled["checkout"]
    entry = plan.document["services"]["checkout"]
    assert one.due == date.fromisoformat(entry["scale_schedule"][0]["start_at"][:10])
    assert one.due < date(2026, 11, 8), "before the freeze"
    assert one.owner == "team"
    assert one.cost_per_hour == pytest.approx(entry["instances"] - entry["instances_now"])


def test_unsigned_is_open(plan):
    (item,) = [item for item in check(plan, approved_by=None).items if item.kind == "approval"]
    assert "--approve" in item.says
    assert item.due <= date(2026, 11, 8)


def test_what_breaks_the_promise_stands_first_and_makes_it_not_ready():
    catalog = shop()
    weak = {name: qps for name, qps in CAPACITY.items() if name != "checkout"}
    peaks = peaks_of(catalog, ENTRY_QPS, n=200, freeze=FREEZE)
    plan = make_plan(peaks, curves_of(catalog, weak, n=200), services=catalog, risk=Risk())
    found = check(plan)
    assert found.state != "ready"
    assert found.items[0].blocking
    assert found.items[0].service == "checkout"
    assert "ready if" in found.summary()


def test_gaps_actions_and_days_that_passed(plan):
    gap = Gap("third_party_without_sla", "payco", "core", "payments", "no max_qps", "agree on an SLA")
    late = Action(text="repeat the drill", owner="sre", due=date(2026, 10, 1))
    done = Action(text="done already", owner="sre", status="done")
    found = check(plan, gaps=[gap], actions=[late, done])
    assert found.state == "ready if …"
    assert [item.service for item in found.blocking] == ["payco"]
    assert [item.says for item in found.overdue] == ["repeat the drill"]
    assert not any("done already" in item.says for item in found.items)
    frame = found.to_frame()
    assert frame["overdue"].sum() == 1
    assert list(frame["blocking"]) == sorted(frame["blocking"], reverse=True)
