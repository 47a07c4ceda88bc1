"""Is somebody there: gaps and double bookings against a count of every quarter of an hour."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.catalog import parse_services
from capacity.errors import InputError
from capacity.operations import Operations, parse_operations
from capacity.operations.book import Shift
from capacity.operations.duty import find_double_bookings, find_gaps, open_items
from capacity.promotion import parse_promotions
from capacity.workspace import Workspace

START = datetime(2026, 11, 10, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def shift(person: str, begin: int, length: int) -> Shift:
    start = START + begin * QUARTER
    return Shift(person=person, role="duty", starts_at=start, ends_at=start + length * QUARTER)


shifts = st.lists(st.builds(shift, st.sampled_from("abc"), st.integers(-20, 60), st.integers(1, 40)), max_size=8)


@given(roster=shifts, wanted=st.integers(1, 2))
def test_gaps_are_the_quarters_in_which_too_few_are_there(roster: list[Shift], wanted: int) -> None:
    end = START + 48 * QUARTER
    gaps = find_gaps(roster, START, end, wanted=wanted)
    for quarter in range(48):
        moment = START + quarter * QUARTER
        there = len({one.person for one in roster if one.starts_at <= moment < one.ends_at})
        in_gap = [gap for gap in gaps if gap.starts_at <= moment < gap.ends_at]
        assert bool(in_gap) == (there < wanted)
        assert all(gap.there == there for gap in in_gap)


@given(roster=shifts)
def test_double_bookings_are_all_overlaps_of_one_person(roster: list[Shift]) -> None:
    found = find_double_bookings(roster)
    pairs = sum(
        one.person == other.person and one.starts_at < other.ends_at and other.starts_at < one.ends_at
        for i, one in enumerate(roster)
        for other in roster[i + 1 :]
    )
    assert len(found) == pairs


BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 10, 24, 23, tzinfo=UTC)  # clocks are put back at 01:00 UTC


def at_night(minutes: int) -> datetime:
    return (NIGHT + timedelta(minutes=minutes)).astimezone(BERLIN)


@given(
    spans=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12), st.sampled_from("ab")), max_size=4),
    wanted=st.integers(1, 2),
)
def test_the_hour_that_comes_twice_is_two_hours(spans: list[tuple[int, int, str]], wanted: int) -> None:
    roster = [
        Shift(person=who, role="duty", starts_at=at_night(15 * begin), ends_at=at_night(15 * (begin + length)))
        for begin, length, who in spans
    ]
    gaps = find_gaps(roster, at_night(0), at_night(15 * 24), wanted=wanted)
    for quarter in range(24):
        there = len({who for begin, length, who in spans if begin <= quarter < begin + length})
        moment = NIGHT + quarter * QUARTER
        inside = [g for g in gaps if g.starts_at.astimezone(UTC) <= moment < g.ends_at.astimezone(UTC)]
        assert bool(inside) == (there < wanted)
        on_call = Operations().model_copy(update={"roster": roster}).on_call(at_night(15 * quarter))
        expected = [who for begin, length, who in spans if begin <= quarter < begin + length]
        assert on_call == ", ".join(expected)


def test_what_is_open_is_listed_with_owner_and_day() -> None:
    promotions = parse_promotions(
        "- {id: p, kind: x, starts_at: 2026-11-10T20:00, ends_at: 2026-11-12T00:00,\n"
        "   phases: [{name: opening, starts_at: 2026-11-10T20:00, ends_at: 2026-11-12T00:00}]}",
        timezone="UTC",
    )
    services = parse_services(
        "[{name: pay, tier: core, third_party: true, owner: finance},\n"
        " {name: bank, tier: core, third_party: true, max_qps: 5}]"
    )
    book = parse_operations(
        """
roster:
  - {person: a, role: lead, contact: "1", starts_at: 2026-11-10T00:00, ends_at: 2026-11-11T10:00}
  - {person: a, role: other, contact: "1", starts_at: 2026-11-10T22:00, ends_at: 2026-11-10T23:00}
  - {person: b, role: lead, starts_at: 2026-11-11T12:00, ends_at: 2026-11-12T00:00}
drills:
  - {name: zone, failure: zone-loss, due: 2026-11-01, owner: sre}
  - {name: done, failure: zone-loss, due: 2026-11-01}
  - {name: bad, failure: zone-loss, due: 2026-11-01, owner: a}
  - {name: mute, failure: zone-loss, due: 2026-11-01, owner: b}
third_parties: [{name: bank, flood_control: limit, fallback: later}]
""",
        timezone="UTC",
    )
    items = list(
        open_items(
            book, promotions["p"], services=services, held={"done": "passed", "bad": "failed", "mute": "unknown"}
        )
    )
    says = {(item.kind, item.service, item.owner): item.says for item in items}
    texts = " | ".join(item.says for item in items)
    assert "nobody is on duty from 2026-11-11T10:00+00:00 to 2026-11-11T12:00+00:00" in texts
    assert "only 1 is on duty at the opening" in texts
    assert "a is on duty twice" in texts
    assert "no contact is known of b" in texts
    assert "nobody is named to escalate to" in texts
    assert says["drill", "", "sre"] == "practise zone (zone-loss)"
    assert says["third_party", "pay", "finance"] == "without an SLA (max_qps), flood control, a fallback"
    assert says["drill", "", "a"] == "practise bad (zone-loss) again: it failed"
    assert says["drill", "", "b"].startswith("practise mute (zone-loss), or write down how it went")
    assert sum(item.kind == "drill" for item in items) == 3
    assert sum(item.kind == "third_party" for item in items) == 1


def test_services_that_are_none_are_said_with_their_lines(sample_copy: Path) -> None:
    path = sample_copy / "data" / "operations.yaml"
    drill = "- {name: a, failure: f, service: x, due: 2026-11-01}"
    path.write_text(f"freeze:\n  services: [checkout, chekout]\ndrills:\n{drill}\n")
    with pytest.raises(InputError) as caught:
        _ = Workspace(sample_copy).operations
    told = str(caught.value)
    assert "operations.yaml:2 freeze.services[1]: got 'chekout'" in told
    assert "did you mean 'checkout'" in told
    assert "operations.yaml:4 drills[0].service: got 'x'" in told
    assert told.count("expected a service") == 2


def test_every_problem_of_the_file_is_listed_at_once() -> None:
    text = """
changes: {relase: {approver: a, accountable: b}}
roster: [{person: a, role: b, starts_at: 2026-11-10T20:00, ends_at: 2026-11-10T19:00}]
meetings: [{name: m, weekday: tuesday, at: "25:00", first: 2026-11-01, last: 2026-10-01}]
drills: [{name: z, failure: f, due: soon}]
"""
    with pytest.raises(InputError) as caught:
        parse_operations(text, timezone="UTC")
    told = str(caught.value)
    for says in ("operations.yaml:2", "operations.yaml:3", "operations.yaml:4", "operations.yaml:5"):
        assert says in told
