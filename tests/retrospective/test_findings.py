"""Incidents, switches, changes, alerts, drills and actions as a journal tells them."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.journal import Journal, new_entry
from capacity.retrospective.incidents import link_incidents, mean_times


def kinds(review: Any) -> list[str]:
    return list(review.findings["kind"])


def times(review: Any) -> Any:
    return review.mean_times.set_index("measure")


def test_mean_times_with_their_n(world: Any) -> None:
    world.document["degradation"] = []
    first = world.say("incident_start", "20:01", "checkout slow", service="shop")
    world.say("detected", "20:04", ref=first)
    world.say("acknowledged", "20:06", ref=first)
    world.say("mitigated", "20:21", ref=first)
    world.say("resolved", "20:31", ref=first)
    second = world.say("incident_start", "21:00", "search errors", service="search", ref="INC-2")
    world.say("detected", "21:01", ref="INC-2")
    world.say("resolved", "22:00", ref=second)
    world.say("incident_start", "23:00", "db lag", service="db")
    review = world.review()
    table = times(review)
    assert table["minutes"].to_dict() == {"mttd": 2.0, "mtta": 2.0, "mttm": 20.0, "mttr": 45.0}
    assert table["n"].to_dict() == {"mttd": 2, "mtta": 1, "mttm": 1, "mttr": 2}
    assert (table["incidents"] == 3).all()
    assert "3 incidents, MTTD 2 min (n = 2), MTTA 2 min (n = 1), MTTR 45 min (n = 2)" in review.verdict[2]
    assert kinds(review) == ["unresolved_incident"]
    assert any("Close or hand over the incident" in action.text for action in review.actions)


def test_without_ref_a_step_belongs_to_its_services_open_incident() -> None:
    def said(kind: str, minute: int, service: str | None = None) -> Any:
        return new_entry(kind, at=f"2026-11-10T20:{minute:02d}+08:00", timezone="UTC", service=service)

    journal = Journal(
        (
            said("incident_start", 1, "a"),
            said("incident_start", 2, "b"),
            said("acknowledged", 3),
            said("resolved", 4, "a"),
            said("resolved", 5, "a"),
            said("resolved", 6),
        )
    )
    incidents, orphans = link_incidents(journal)
    assert [incident.at("resolved").minute for incident in incidents if incident.at("resolved")] == [4, 6]
    assert [(entry.kind, entry.at.minute) for entry in orphans] == [("acknowledged", 3), ("resolved", 5)]


def test_a_step_before_its_incident_is_reported_and_not_averaged(world: Any) -> None:
    start = world.say("incident_start", "20:10", service="shop")
    world.say("detected", "20:05", ref=start)
    world.say("resolved", "20:20", ref=start)
    review = world.review()
    assert times(review).loc["mttd", "n"] == 0
    assert "MTTD unknown (n = 0)" in review.verdict[2]
    assert "unlinked_entry" in kinds(review)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=6))
def test_mttr_is_the_mean_of_the_spans(spans: list[tuple[int, int]]) -> None:
    entries = []
    for number, (begin, length) in enumerate(spans):

        def at(minute: int) -> str:
            return f"2026-11-{10 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}+00:00"

        start = new_entry("incident_start", f"i{number}", at=at(begin), timezone="UTC")
        entries += [start, new_entry("resolved", f"r{number}", at=at(begin + length), timezone="UTC", ref=start.id)]
    incidents, orphans = link_incidents(Journal(tuple(sorted(entries, key=lambda one: one.at))))
    assert not orphans
    table = mean_times(incidents).set_index("measure")
    assert table.loc["mttr", "n"] == len(spans)
    assert table.loc["mttr", "minutes"] == pytest.approx(sum(length for _, length in spans) / len(spans))


def test_a_switch_that_is_not_restored_comes_first(world: Any) -> None:
    world.say("alert", "20:01", "p99", service="shop")
    world.say("degrade_on", "19:55", "recommendations off", service="shop", who="li")
    review = world.review()
    assert kinds(review) == ["not_restored", "alert_without_runbook"]
    assert "1 degradation NOT restored" in review.verdict[2]
    action = review.actions[0]
    assert action.text.startswith("Restore: recommendations is still switched off since 2026-11-10 19:55")
    assert (action.owner, action.due) == ("growth", date(2026, 11, 12))
    assert "switched off: recommendations" in review.services.set_index("service").loc["rec", "floor_because"].iloc[0]


@pytest.mark.parametrize(("off", "ref"), [("recommendations", None), ("back on", "id"), ("back on", "recommendations")])
def test_a_restored_switch_is_no_finding(world: Any, off: str, ref: str | None) -> None:
    switched = world.say("degrade_on", "19:57", "recommendations", service="shop")
    world.say("degrade_off", "22:05", off, **({"ref": switched if ref == "id" else ref} if ref else {}))
    assert kinds(world.review()) == []


def test_switches_late_early_and_never(world: Any) -> None:
    world.say("degrade_on", "20:10", service="shop")
    world.say("degrade_off", "22:40", service="shop")
    assert kinds(world.review()) == ["degraded_late", "restored_late"]
    world.journal = Journal(timezone="Asia/Shanghai")
    world.say("note", "20:10", "calm")
    assert kinds(world.review()) == ["not_switched"]


def test_changes_inside_the_freeze_need_an_exception_of_their_own(world: Any) -> None:
    world.journal = Journal(timezone="Asia/Shanghai")
    world.document["degradation"] = []
    world.say("change", "2026-11-08T23:59", "before the freeze", service="shop")
    world.say("exception", "18:00", "hot fix granted", service="shop")
    world.say("change", "18:30", "hot fix", service="shop")
    world.say("change", "18:40", "and another", service="shop")
    linked = world.say("change", "19:00", "db index", service="db")
    world.say("exception", "19:30", "granted after", ref=linked)
    review = world.review()
    assert kinds(review) == ["freeze_violation", "exception_afterwards"]
    says = list(review.findings["says"])
    assert "and another" in says[0]
    assert "only 30 min later" in says[1]


def test_drills_and_runbooks(world: Any) -> None:
    world.document["degradation"] = []
    world.say("drill", "2026-11-09T02:00", "failed: failover took 9 min", service="db")
    world.say("drill", "2026-11-09T03:00", "zone failover passed")
    world.say("drill", "2026-11-09T04:00", "ran as planned")
    world.say("alert", "20:01", "p99", ref="https://runbooks/shop")
    world.say("alert", "20:02", "p95, see https://runbooks/search")
    assert kinds(world.review()) == ["failed_drill", "drill_without_outcome"]
    world.say("incident_start", "20:03", "slow", service="shop", ref="INC-7")
    world.say("resolved", "20:09", ref="INC-7")
    world.say("alert", "20:04", "p95 above its objective", service="shop", ref="INC-7")
    assert "alert_without_runbook" in kinds(world.review())


def test_actions_written_down_keep_owner_due_and_state(world: Any) -> None:
    world.document["degradation"] = []
    done = world.say("action", "23:00", "raise db limit, due 2026-11-20", who="dba")
    world.say("action", "23:10", "look at cache")
    world.say("note", "23:50", "done, limit is 120000", ref=done)
    review = world.review()
    first, second = (action for action in review.actions if action.text.startswith(("raise", "look")))
    assert (first.owner, first.due, first.status) == ("dba", date(2026, 11, 20), "done")
    assert (second.owner, second.due, second.status) == ("", None, "open")
    assert "of them without an owner" in review.verdict[2]
    assert set(review.worklist["source"]) >= {"journal"}
