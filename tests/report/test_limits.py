"""Tables about limits and degradation: what they say of a plan's document, older ones included."""

from types import SimpleNamespace

import pytest

from capacity.report import ladder_reach, limit_warnings, plan_ladder, plan_limits


def service(limit, q95, **more):
    return {
        "cluster_limit_qps": limit, "peak_qps": {"q95": q95}, "instance_limit_qps": None, "limited_by": ["db"], **more
    }  # fmt: skip


@pytest.fixture
def plan():
    rung = {
        "order": 1, "feature": "a", "service": "web", "trigger": "t", "owner": None, "value_lost_per_hour": 3.0,
        "recovery": "r", "effective_after_s": 60.0,
        "frees": [{"service": "db", "qps": 120.0, "share": 0.25}],
    }  # fmt: skip
    reach = {
        "core_does_not_fit": {"nothing_off": 0.4, "as_planned": 0.2, "everything_off": 0.2},
        "suffices": False, "would_suffice": ["raise capacity of db from 1 to 2"],
    }  # fmt: skip
    services = {
        "calm": service(100.0, 10.0, limit_warnings=["trap"], price=None, limiter_failure=None),
        "busy": service(
            100.0, 99.0, limit_warnings=["trap", "<b>"], price={"per_qps": 1 / 3, "of": "orders/s"},
            limiter_failure={"choose": "closed"}, burst_requests=12.0,
        ),
        "old": service(None, 5.0),
    }  # fmt: skip
    return SimpleNamespace(document={"services": services, "degradation": [rung], "degradation_reach": reach})


def test_limits_come_in_the_order_of_their_use(plan):
    frame = plan_limits(plan).frame
    assert frame["service"].tolist() == ["busy", "calm", "old"]
    assert frame["used"].tolist() == ["99 %", "10 %", ""]
    assert frame["one_more_there_admits"].tolist() == ["0.33 orders/s", "", ""]
    assert frame["if_its_limiter_fails"].tolist() == ["closed", "", ""]


def test_services_that_share_a_trap_are_named_together_and_text_is_escaped(plan):
    assert limit_warnings(plan).lines == ("calm, busy: trap", "busy: <b>")
    assert "<b>" not in limit_warnings(plan)._repr_html_()


def test_the_ladder_says_what_it_frees_and_whether_that_is_enough(plan):
    assert plan_ladder(plan).frame["frees"].tolist() == ["25 % of db (120/s)"]
    lines = ladder_reach(plan).lines
    assert "40 % of futures with everything on" in lines[0]
    assert lines[1:] == ("even the whole ladder does not suffice", "raise capacity of db from 1 to 2")
    del plan.document["degradation_reach"]
    assert ladder_reach(plan).lines == ()
