"""promotions.yaml: everything checked at once, and what was known when."""

from datetime import UTC, date, datetime

import pytest

from capacity.errors import InputError
from capacity.promotion import Promotion, parse_promotions

GOOD = """
- id: 2025-double11
  kind: double11
  starts_at: 2025-11-10T20:00
  ends_at: 2025-11-12T00:00
  actual: {dau: 8.9e6, dat: 1.31e6, peak_tps: 1270, peak_at: 2025-11-10T20:00:07+08:00, peak_qps: {checkout: 8400}}
- id: 2026-618
  kind: "618"
  starts_at: 2026-06-17T12:00Z
  ends_at: 2026-06-19T00:00+08:00
- id: 2026-double11
  kind: double11
  starts_at: 2026-11-10T20:00+08:00
  ends_at: 2026-11-12T00:00+08:00
  third_parties: [{name: payco-gateway, sla_qps: 5000, contact: "…"}]
  inventory: {units: 1.2e6}
  expected: {dau: {low: 8.0e6, mid: 9.5e6, high: 1.1e7}, owner: growth-team, signed_at: 2026-10-12}
"""


@pytest.fixture
def promotions():
    return parse_promotions(GOOD, timezone="Asia/Shanghai")


def says(text, timezone="Asia/Shanghai"):
    with pytest.raises(InputError) as caught:
        parse_promotions(text, timezone=timezone)
    return str(caught.value)


def one(**keys):
    given = {"id": "a", "kind": "k", "starts_at": "2026-11-10T20:00", "ends_at": "2026-11-12T00:00", **keys}
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in given.items() if value is not None)


def test_time_order_kinds_and_zone(promotions):
    assert list(promotions) == ["2025-double11", "2026-618", "2026-double11"]
    assert list(promotions.of_kind("double11")) == ["2025-double11", "2026-double11"]
    assert promotions["2026-618"].starts_at.isoformat() == "2026-06-17T20:00:00+08:00"
    assert promotions["2026-double11"].inventory.units == 1_200_000
    assert promotions["2026-double11"].dates == (date(2026, 11, 10), date(2026, 11, 11))


def test_a_kind_that_looks_like_a_number_needs_quotes():
    assert "a.kind: got 618, expected text; put it in quotes" in says(one(kind=618))


def test_before_a_moment_and_before_a_day(promotions):
    assert list(promotions.before(date(2026, 6, 19))) == ["2025-double11", "2026-618"]
    assert list(promotions.before(date(2026, 6, 18))) == ["2025-double11"]
    assert list(promotions.before(datetime(2026, 6, 18, 16, tzinfo=UTC))) == ["2025-double11", "2026-618"]
    assert list(promotions.before(datetime(2026, 6, 18, 23, 59))) == ["2025-double11"]  # noqa: DTZ001 - local on purpose


def test_as_of_hides_what_was_not_known(promotions):
    known = promotions.as_of(date(2026, 10, 12))
    assert known["2026-double11"].expected is None
    assert known["2025-double11"].actual.peak_qps == {"checkout": 8400}
    assert promotions.as_of(date(2026, 10, 13))["2026-double11"].expected.owner == "growth-team"
    assert promotions.as_of(date(2025, 11, 12))["2025-double11"].actual is not None
    assert promotions.as_of(date(2025, 11, 11))["2025-double11"].actual is None
    assert list(promotions.as_of(date(2020, 1, 1))) == list(promotions)


def test_an_unsigned_estimate_is_always_visible():
    text = one(expected="{dau: {low: 1, mid: 2, high: 3}}")
    assert parse_promotions(text, timezone="UTC").as_of(date(2020, 1, 1))["a"].expected is not None


def test_an_unknown_id_is_answered_with_a_suggestion(promotions):
    with pytest.raises(InputError, match="did you mean '2026-double11'"):
        promotions["2026-double12"]
    assert "2026-double12" not in promotions
    assert promotions.get("2026-618") is promotions["2026-618"]


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"ends_at": "2026-11-10T20:00"}, "a.ends_at: got 2026-11-10T20:00:00+08:00, expected a time after starts_at"),
        ({"intensity": 0}, "more than 0"),
        ({"intensity": ".inf"}, "finite"),
        ({"starts_at": None}, "a.starts_at: got nothing"),
        ({"freeze": "{starts_at: 2026-11-13T00:00, ends_at: 2026-11-09T00:00}"}, "a.freeze.ends_at"),
        ({"phases": "[{name: p, starts_at: 2026-11-10T21:00, ends_at: 2026-11-10T20:00}]"}, "a.phases[0].ends_at"),
        ({"phases": "[{name: p, starts_at: 2026-11-14T00:00, ends_at: 2026-11-14T01:00}]"}, "within 24 h"),
        (
            {
                "phases": "[{name: p, starts_at: 2026-11-10T20:00, ends_at: 2026-11-10T22:00}, "
                "{name: q, starts_at: 2026-11-10T21:00, ends_at: 2026-11-10T23:00}]"
            },
            "no overlap with 'p'",
        ),
        (
            {
                "phases": "[{name: p, starts_at: 2026-11-10T20:00, ends_at: 2026-11-10T21:00}, "
                "{name: p, starts_at: 2026-11-10T21:00, ends_at: 2026-11-10T23:00}]"
            },
            "a name of its own",
        ),
        ({"expected": "{dau: {low: 2, mid: 1, high: 3}}"}, "a.expected.dau.mid: got 1, expected at least low (2)"),
        ({"expected": "{dau: 9.5e6}"}, "a.expected.dau: got 9500000.0, expected a mapping"),
        ({"expected": "{signed_at: 2026-10-12T10:00}"}, "a day such as"),
        ({"inventory": "{units: -1}"}, "at least 0"),
        ({"actual": "{peak_qps: {checkout: -1}}"}, "a.actual.peak_qps.checkout: got -1"),
        ({"third_parties": "[{name: x}, {name: x}]"}, "each third party once"),
        ({"objectives": "sell more"}, "a.objectives: got 'sell more', expected a list"),
        ({"kind": "''"}, "a.kind"),
        ({"id": "' '"}, "id"),
    ],
)
def test_bad_promotions(keys, part):
    assert part in says(one(**keys))


def test_ids_twice_also_when_only_their_case_differs():
    assert "item 1 has it already" in says(one() + "\n" + one())
    assert "an id unlike 'a' beyond its case" in says(one() + "\n" + one(id="A"))
    assert len(parse_promotions(one() + "\n" + one(id="b"), timezone="UTC")) == 2


def test_an_unknown_zone():
    assert "did you mean 'Asia/Shanghai'?" in says(GOOD, timezone="Asia/Shangai")


def test_local_times_that_a_clock_change_swallows_or_doubles():
    assert "a time that exists in Europe/Berlin" in says(one(starts_at="2026-03-29T02:30"), "Europe/Berlin")
    assert "a time that occurs once" in says(one(starts_at="2026-10-25T02:30"), "Europe/Berlin")


def test_order_across_a_clock_change_is_by_the_instant():
    text = one(starts_at="2026-10-25T02:50+02:00", ends_at="2026-10-25T02:10+01:00")
    assert parse_promotions(text, timezone="Europe/Berlin")["a"].duration.total_seconds() == 1200


def test_names_of_any_kind_stay_data():
    made = parse_promotions(one(id="'../<b>\"双11\" 🛒'"), timezone="UTC")
    assert "/" not in next(iter(made.values())).slug


def test_a_promotion_made_in_python_is_checked_too():
    with pytest.raises(ValueError, match="a time after starts_at"):
        Promotion(id="a", kind="k", starts_at="2026-11-10T20:00Z", ends_at="2026-11-09T20:00Z")
    with pytest.raises(ValueError, match="offset"):
        Promotion(id="a", kind="k", starts_at="2026-11-10T20:00", ends_at="2026-11-11T20:00")


def test_defaults_are_assumptions(promotions):
    said = " ".join(promotions["2026-618"].assumptions())
    assert all(part in said for part in ("intensity", "phases", "inventory", "business estimate"))
    assert not any("inventory" in line for line in promotions["2026-double11"].assumptions())
