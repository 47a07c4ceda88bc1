"""Which exception covers which change inside a freeze, against a list written by hand and an enumeration."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from capacity.journal import Journal, Terms, changes_within, exception_terms, format_entry, new_entry, parse_journal
from capacity.journal.entry import Entry

START = datetime(2026, 11, 8, tzinfo=UTC)


def entry(kind: str, hour: float, text: str = "x", *, service: str | None = None, ref: str | None = None) -> Entry:
    at = START + timedelta(hours=hour)
    return new_entry(kind, text, at=at, timezone="UTC", service=service, ref=ref, who="ann")


def until(hour: float) -> str:
    return Terms(START + timedelta(hours=hour), "release", "why").to_text()


def covered(*entries: Entry) -> list[bool]:
    journal = Journal(tuple(sorted(entries, key=lambda one: one.at)))
    return [grant is not None for _, grant in changes_within(journal, START, START + timedelta(hours=100))]


def test_an_exception_with_an_end_covers_all_until_then_and_nothing_after() -> None:
    signed = entry("exception", 1, until(4), service="s")
    changes = [entry("change", hour, service="s") for hour in (0.5, 2, 3, 4, 5)]
    assert covered(signed, *changes) == [False, True, True, False, False]


def test_one_without_an_end_covers_one_change() -> None:
    signed = entry("exception", 1, "granted, for the price fix")
    assert covered(signed, entry("change", 2), entry("change", 3)) == [True, False]


def test_an_end_that_has_passed_is_not_mended_by_a_reference() -> None:
    change = entry("change", 5, ref="CHG-1")
    assert covered(entry("exception", 1, until(4), ref="CHG-1"), change) == [False]
    assert covered(entry("exception", 1, until(6), ref="CHG-1"), change) == [True]


@given(
    signed=st.lists(
        st.tuples(st.sampled_from([None, "s", "t"]), st.integers(0, 20), st.integers(1, 20)), max_size=4, unique=True
    ),
    changed=st.lists(st.tuples(st.sampled_from([None, "s", "t"]), st.integers(0, 40)), max_size=5, unique=True),
)
def test_windows_cover_what_an_enumeration_says(
    signed: list[tuple[str | None, int, int]], changed: list[tuple[str | None, int]]
) -> None:
    changed.sort(key=lambda pair: pair[1])
    exceptions = [entry("exception", first, until(first + hours), service=of) for of, first, hours in signed]
    found = covered(*exceptions, *(entry("change", hour, service=of) for of, hour in changed))
    assert found == [
        any(of in (None, service) and first <= hour < first + hours for of, first, hours in signed)
        for service, hour in changed
    ]


def test_the_hour_that_comes_twice_is_read_in_its_order() -> None:
    times = ("2026-10-25T02:50+02:00", "2026-10-25T02:10+01:00", "2026-10-25T02:40+01:00")
    lines = [format_entry(new_entry("note", at, at=at, timezone="Europe/Berlin")) for at in reversed(times)]
    journal = parse_journal("\n".join(lines).encode(), timezone="Europe/Berlin")
    assert tuple(entry.text for entry in journal) == times


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_what_was_written_freely_is_the_reason(text: str) -> None:
    free = f"granted {text}"
    assert exception_terms(entry("exception", 1, free)) == Terms(None, "", free)
