"""Phases: they cover the promotion, never overlap, and follow the stated rule."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.promotion import Phase, Promotion
from capacity.promotion.phases import MARGIN

ZONE = ZoneInfo("Asia/Shanghai")


def promotion(starts_at, ends_at, *phases, zone=ZONE):
    def moment(text):
        return datetime.fromisoformat(text).replace(tzinfo=zone)

    listed = [Phase(name=name, starts_at=moment(a), ends_at=moment(b)) for name, a, b in phases]
    return Promotion(id="x", kind="k", starts_at=moment(starts_at), ends_at=moment(ends_at), phases=listed)


def spans(made):
    return [(p.name, f"{p.starts_at:%d.%H:%M}", f"{p.ends_at:%d.%H:%M}") for p in made.phases]


@pytest.mark.parametrize(
    ("start", "end", "inner"),
    [
        (
            "2026-11-10T20:00",
            "2026-11-12T00:00",
            [("opening", "10.20:00", "10.22:00"), ("day", "10.22:00", "11.18:00"), ("evening", "11.18:00", "12.00:00")],
        ),
        (
            "2026-11-11T00:00",
            "2026-11-12T00:00",
            [("opening", "11.00:00", "11.02:00"), ("day", "11.02:00", "11.18:00"), ("evening", "11.18:00", "12.00:00")],
        ),
        (
            "2026-11-10T20:00",
            "2026-11-11T00:00",
            [("opening", "10.20:00", "10.22:00"), ("evening", "10.22:00", "11.00:00")],
        ),
        ("2026-11-10T10:00", "2026-11-10T11:00", [("opening", "10.10:00", "10.11:00")]),
        (
            "2026-11-10T10:00",
            "2026-11-10T15:00",
            [("opening", "10.10:00", "10.12:00"), ("day", "10.12:00", "10.15:00")],
        ),
        (
            "2026-11-10T20:00",
            "2026-11-12T03:00",
            [
                ("opening", "10.20:00", "10.22:00"),
                ("day", "10.22:00", "11.18:00"),
                ("evening", "11.18:00", "12.00:00"),
                ("close", "12.00:00", "12.03:00"),
            ],
        ),
    ],
)
def test_the_default_rule(start, end, inner):
    made = spans(promotion(start, end))
    assert [made[0][0], made[-1][0]] == ["before", "after"]
    assert made[1:-1] == inner


def test_given_phases_win_and_the_rest_is_filled():
    made = promotion(
        "2026-11-10T20:00",
        "2026-11-12T00:00",
        ("opening", "2026-11-10T20:00", "2026-11-10T21:00"),
        ("lunch", "2026-11-11T11:30", "2026-11-11T13:00"),
        ("presale", "2026-11-10T08:00", "2026-11-10T20:00"),
    )
    assert spans(made) == [
        ("before", "09.20:00", "10.08:00"),
        ("presale", "10.08:00", "10.20:00"),
        ("opening", "10.20:00", "10.21:00"),
        ("opening_2", "10.21:00", "10.22:00"),
        ("day", "10.22:00", "11.11:30"),
        ("lunch", "11.11:30", "11.13:00"),
        ("day_2", "11.13:00", "11.18:00"),
        ("evening", "11.18:00", "12.00:00"),
        ("after", "12.00:00", "13.00:00"),
    ]


@given(st.data())
def test_phases_cover_everything_once(data):
    zone = ZoneInfo(
        data.draw(st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]))
    )
    start = datetime(2026, 3, 28, tzinfo=UTC) + timedelta(minutes=data.draw(st.integers(0, 400_000)))
    minutes = data.draw(st.integers(1, 20_000))
    cuts = sorted(data.draw(st.lists(st.integers(-1440, minutes + 1440), max_size=6, unique=True)))
    given_phases = [
        Phase(name=f"p{a}", starts_at=start + timedelta(minutes=a), ends_at=start + timedelta(minutes=b))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    made = Promotion(
        id="x",
        kind="k",
        starts_at=start.astimezone(zone),
        ends_at=(start + timedelta(minutes=minutes)).astimezone(zone),
        phases=given_phases,
    )
    utc = [(p.starts_at.astimezone(UTC), p.ends_at.astimezone(UTC)) for p in made.phases]
    assert utc[0][0] == start - MARGIN
    assert utc[-1][1] == start + timedelta(minutes=minutes) + MARGIN
    assert all(a < b for a, b in utc)
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(utc))
    assert len({p.name for p in made.phases}) == len(made.phases)
    assert {p.name for p in given_phases} <= {p.name for p in made.phases}


def test_a_clock_change_inside_is_counted():
    made = promotion("2026-10-24T20:00", "2026-10-26T00:00", zone=ZoneInfo("Europe/Berlin"))
    assert made.duration == timedelta(hours=29)
    assert sum((p.duration for p in made.phases), timedelta()) == timedelta(hours=29 + 48)


def test_a_copy_read_again_keeps_its_phases():
    made = promotion("2026-11-10T20:00", "2026-11-12T03:00")
    again = Promotion(**made.model_dump())
    assert again.phases == made.phases
