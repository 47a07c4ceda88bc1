"""The journal: what is appended stays, what is wrong is named, what a day did not know is hidden."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import InputError
from capacity.journal import (
    KINDS,
    Entry,
    append_entries,
    append_entry,
    format_entry,
    new_entry,
    parse_journal,
    read_journal,
)

ZONE = "Asia/Shanghai"
START = datetime(2026, 11, 10, 12, tzinfo=UTC)
MOMENTS = st.integers(0, 10**15).map(lambda us: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))


def entry(number: int, **changes: object) -> Entry:
    moment = START + timedelta(minutes=number)
    return replace(Entry(f"e{number}", moment, moment, "note", text=f"entry {number}"), **changes)


def lines(*entries: Entry) -> bytes:
    return b"".join(format_entry(one).encode() + b"\n" for one in entries)


def test_a_line_holds_exactly_the_contracts_keys_in_its_order() -> None:
    document = json.loads(format_entry(entry(1)))
    assert list(document) == ["id", "at", "recorded_at", "kind", "service", "who", "text", "ref", "corrects"]
    assert document["service"] is None


@given(
    st.lists(
        st.builds(
            Entry,
            id=st.uuids().map(str),
            at=MOMENTS,
            recorded_at=MOMENTS,
            kind=st.sampled_from(KINDS),
            text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
            service=st.none() | st.just("checkout"),
        ),
        unique_by=lambda one: one.id,
        max_size=6,
    )
)
def test_what_is_written_is_what_is_read(entries: list[Entry]) -> None:
    read = parse_journal(lines(*entries), timezone=ZONE)
    assert list(read) == sorted(entries, key=lambda one: one.at)


def test_any_text_stays_on_one_line_of_the_file(tmp_path: Path) -> None:
    text = 'a\nb\u2028c\x85 {"id": 1} <script> \x1b[31m'
    path = tmp_path / "new" / "j.jsonl"
    assert append_entry(path, entry(1, text=text))
    assert path.read_bytes().count(b"\n") == 1
    assert read_journal(path, timezone=ZONE)[0].text == text


def test_correction_replaces_what_it_corrects_and_keeps_its_id() -> None:
    wrong, right = entry(1, text="20 instances"), entry(2, text="24 instances", corrects="e1")
    again = entry(3, text="26 instances", corrects="e2", at=START)
    journal = parse_journal(lines(wrong, entry(5), right, again), timezone=ZONE)
    assert [(one.id, one.text) for one in journal] == [("e1", "26 instances"), ("e5", "entry 5")]
    assert [one.text for one in journal.superseded] == ["20 instances", "24 instances"]


@pytest.mark.parametrize("hidden", ["at", "recorded_at"])
def test_as_of_hides_what_happened_or_was_recorded_at_or_after_local_midnight(hidden: str) -> None:
    midnight = datetime(2026, 11, 10, 16, tzinfo=UTC)  # 2026-11-11 00:00 in Shanghai
    seen = entry(1, at=midnight - timedelta(seconds=1), recorded_at=midnight - timedelta(seconds=1))
    late = replace(seen, id="late", **{hidden: midnight})
    journal = parse_journal(lines(seen, late), timezone=ZONE, as_of=date(2026, 11, 11))
    assert [one.id for one in journal] == ["e1"]


def test_a_correction_recorded_later_is_not_known_before() -> None:
    correction = entry(2, text="was wrong", corrects="e1", recorded_at=START + timedelta(days=3))
    known = parse_journal(lines(entry(1), correction), timezone=ZONE, as_of=date(2026, 11, 12))
    assert [one.text for one in known] == ["entry 1"]
    later = parse_journal(lines(entry(1), correction), timezone=ZONE, as_of=date(2026, 11, 15))
    assert [one.text for one in later] == ["was wrong"]


def test_every_problem_is_named_with_its_line() -> None:
    good = json.loads(format_entry(entry(1)))
    bad = [
        good,
        good | {"id": "e2", "kind": "resolvd"},
        good | {"id": "e3", "at": "yesterday"},
        good,
        good | {"id": "e5", "sevrice": "checkout"},
        good | {"id": "e6", "corrects": "e77"},
        good | {"id": "e7", "text": 7},
        {key: value for key, value in good.items() if key != "recorded_at"} | {"id": "e8"},
        good | {"id": "a\nb"},
    ]
    content = "\n".join(json.dumps(one) for one in bad) + '\n[1]\n{"id": NaN}\n{"id": "a", "id": "b"}\n' + "[" * 100_000
    with pytest.raises(InputError) as caught:
        parse_journal(content.encode(), timezone=ZONE, where="j.jsonl")
    text = str(caught.value)
    expected = {2: "did you mean 'resolved'", 3: "ISO 8601", 4: "no other entry has", 5: "did you mean 'service'"}
    expected |= {6: "earlier entry", 7: "a string", 8: "recorded_at", 9: "control characters", 10: "one JSON object"}
    expected |= {11: "NaN", 12: "twice", 13: "one JSON object"}
    for number, words in expected.items():
        assert any(f"j.jsonl:{number}" in line and words in line for line in text.splitlines()), (number, words, text)
    assert "j.jsonl:1 " not in text


def test_a_time_without_offset_is_local_and_refused_where_clocks_change() -> None:
    line = '{"id": "a", "at": "%s", "recorded_at": "2026-10-26T00:00Z", "kind": "note"}'
    journal = parse_journal((line % "2026-10-24T20:00").encode(), timezone="Europe/Berlin")
    assert journal[0].at == datetime(2026, 10, 24, 18, tzinfo=UTC)
    with pytest.raises(InputError, match="clocks of Europe/Berlin change"):
        parse_journal((line % "2026-10-25T02:30").encode(), timezone="Europe/Berlin")


def test_a_torn_line_is_reported_kept_and_followed_by_a_line_of_its_own(tmp_path: Path) -> None:
    whole = lines(entry(1), entry(2, text='with "quotes", {braces} and 中文'))
    second = len(lines(entry(1)))
    for cut in range(second + 1, len(whole) - 2):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(whole[:cut])
        torn = read_journal(path, timezone=ZONE)
        assert [one.id for one in torn] == ["e1"]
        assert len(torn.torn) == 1
        append_entry(path, entry(3))
        after = read_journal(path, timezone=ZONE)
        assert [one.id for one in after] == ["e1", "e3"]
        assert path.read_bytes().startswith(whole[:cut] + b"\n")


def test_a_whole_last_line_without_its_end_is_read() -> None:
    assert len(parse_journal(lines(entry(1), entry(2))[:-1], timezone=ZONE)) == 2


def test_the_same_entry_twice_is_one_and_a_taken_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    alert = new_entry("alert", "p99 high", at="2026-11-10T20:01+08:00", timezone=ZONE)
    again = new_entry("alert", "p99 high", at="2026-11-10T20:01+08:00", timezone=ZONE)
    assert append_entry(path, alert)
    assert not append_entry(path, again)
    before = path.read_bytes()
    with pytest.raises(InputError, match="no other entry has"):
        append_entries(path, [entry(1), replace(alert, text="other")])
    with pytest.raises(InputError, match="an earlier entry's id"):
        append_entry(path, entry(4, corrects="nothing"))
    assert path.read_bytes() == before


def test_what_breaks_the_contract_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with pytest.raises(InputError, match="did you mean 'note'"):
        append_entry(path, entry(1, kind="nota"))
    with pytest.raises(InputError, match="lone surrogates"):
        append_entry(path, entry(1, text="\ud83d"))
    assert not read_journal(path, timezone=ZONE)


def test_frame_of_an_empty_journal_has_the_columns_of_a_full_one(tmp_path: Path) -> None:
    empty = read_journal(tmp_path / "none.jsonl", timezone=ZONE).to_frame()
    full = parse_journal(lines(entry(1)), timezone=ZONE).to_frame()
    assert list(empty.columns) == list(full.columns)
    assert list(empty.dtypes) == list(full.dtypes)
    assert str(full["at"][0]) == "2026-11-10 20:01:00+08:00"


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from capacity.journal import Entry, append_entry
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
start = datetime(2026, 11, 10, 12, tzinfo=UTC)
for number in range(count):
    append_entry(path, Entry(f"{name}-{number}", start, start, "note", text="x" * 500))
    print(number, flush=True)
"""


def test_writers_at_once_and_one_killed_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, "40" if name != "victim" else "100000"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in ("a", "b", "victim")
    }
    victim = writers["victim"]
    assert victim.stdout is not None
    for _ in range(5):  # it has written some, then dies at an arbitrary instant
        victim.stdout.readline()
    time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    said = {name: writer.communicate(timeout=30)[0].splitlines() for name, writer in writers.items()}
    acknowledged = 5 + len(said["victim"])
    for name in ("a", "b"):
        assert said[name][-1:] == ["39"]
        assert writers[name].returncode == 0
    append_entry(path, entry(1))
    journal = read_journal(path, timezone=ZONE)
    ids = [one.id for one in journal]
    for name in ("a", "b"):
        assert [one for one in ids if one.startswith(f"{name}-")] == [f"{name}-{number}" for number in range(40)]
    kept = [one for one in ids if one.startswith("victim-")]
    assert kept[:acknowledged] == [f"victim-{number}" for number in range(acknowledged)]
    assert len(kept) - acknowledged <= 1  # written, but killed before it could say so
    assert "e1" in ids
