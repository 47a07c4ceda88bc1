"""Exports on disk: the difference is said, a person's change is never lost, what is gone goes."""

import json

import pytest

from capacity.errors import InputError
from capacity.export import Export
from capacity.workspace.exports import RECORD, write_export

PLAN = {"promotion": "p", "as_of": "2026-10-20", "signature": "abc"}


def export(**files: str) -> Export:
    return Export("nginx", {name.replace("_", "."): text for name, text in files.items()}, plan=PLAN)


def test_a_first_export_is_new_and_recorded(tmp_path):
    written = write_export(tmp_path / "x", export(a_conf="1\n"))
    assert dict(written.states) == {"a.conf": "new"}
    assert written.difference == ""
    record = json.loads((tmp_path / "x" / RECORD).read_text())
    assert record["signature"] == "abc"
    assert (tmp_path / "x" / "a.conf").read_text() == "1\n"


def test_the_same_again_changes_nothing(tmp_path):
    write_export(tmp_path, export(a_conf="1\n"))
    before = (tmp_path / "a.conf").stat().st_mtime_ns
    written = write_export(tmp_path, export(a_conf="1\n"))
    assert dict(written.states) == {"a.conf": "same"}
    assert (tmp_path / "a.conf").stat().st_mtime_ns == before


def test_a_change_is_shown_and_what_is_gone_goes(tmp_path):
    write_export(tmp_path, export(a_conf="rate 100\n", b_conf="old\n"))
    written = write_export(tmp_path, export(a_conf="rate 90\n"))
    assert dict(written.states) == {"a.conf": "changed", "b.conf": "removed"}
    assert "-rate 100\n+rate 90" in written.difference
    assert "-old" in written.difference
    assert not (tmp_path / "b.conf").exists()


def test_a_change_by_hand_is_not_lost(tmp_path):
    write_export(tmp_path, export(a_conf="1\n", b_conf="1\n"))
    (tmp_path / "a.conf").write_text("mine\n")
    (tmp_path / "b.conf").write_text("mine too\n")
    with pytest.raises(InputError) as caught:
        write_export(tmp_path, export(a_conf="2\n", c_conf="2\n"))
    assert [problem.where.rsplit("/", 1)[-1] for problem in caught.value.problems] == ["a.conf", "b.conf"]
    assert (tmp_path / "a.conf").read_text() == "mine\n"
    assert not (tmp_path / "c.conf").exists()
    write_export(tmp_path, export(a_conf="2\n"), force=True)
    assert (tmp_path / "a.conf.before").read_text() == "mine\n"
    assert (tmp_path / "b.conf.before").read_text() == "mine too\n"
    assert (tmp_path / "a.conf").read_text() == "2\n"


def test_a_file_that_was_there_before_any_export_is_a_persons(tmp_path):
    (tmp_path / "a.conf").write_text("mine\n")
    with pytest.raises(InputError, match="would be lost"):
        write_export(tmp_path, export(a_conf="1\n"))


@pytest.mark.parametrize("record", ["", "[]", '{"files": {"../evil": "x"}}', '{"files": 3}', "{"])
def test_a_broken_record_loses_nothing_and_reaches_nowhere(tmp_path, record):
    evil = tmp_path / "evil"
    evil.write_text("keep")
    folder = tmp_path / "x"
    write_export(folder, export(a_conf="1\n"))
    (folder / RECORD).write_text(record)
    write_export(folder, export(a_conf="1\n"))
    assert evil.read_text() == "keep"
    assert (folder / "a.conf").read_text() == "1\n"
