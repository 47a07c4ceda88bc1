"""Runbooks: what they say, and that no regeneration loses what a person wrote."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.catalog import parse_services
from capacity.cli.main import run
from capacity.flow import plan_promotion
from capacity.operations import Operations, Runbook, make_runbooks, runbook_files, weave
from capacity.workspace import Workspace

ID = "2026-double11"
words = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40)


@given(first=words, second=words, before=words, between=words, after=words)
def test_what_stands_outside_of_generated_parts_is_never_touched(
    first: str, second: str, before: str, between: str, after: str
) -> None:
    old = weave(Runbook("a.md", "A", {"trigger": first, "recovery": "r"}), None).text
    edited = f"{before}\n{old.replace('## Recovery', between + chr(10) + '## Recovery')}\n{after}"
    renewed = weave(Runbook("a.md", "A", {"trigger": second, "recovery": "r"}), edited)
    assert renewed.text.startswith(f"{before}\n")
    assert renewed.text.endswith(f"\n{after}")
    assert between in renewed.text
    assert second in renewed.text
    assert weave(Runbook("a.md", "A", {"trigger": second, "recovery": "r"}), renewed.text).text == renewed.text


@given(edit=words.filter(lambda text: text != "one" and "capacity:" not in text))
def test_a_part_that_was_changed_is_kept(edit: str) -> None:
    old = weave(Runbook("a.md", "A", {"trigger": "one"}), None).text
    edited = old.replace("\none\n", f"\n{edit}\n")
    renewed = weave(Runbook("a.md", "A", {"trigger": "two"}), edited)
    assert renewed.kept == ("trigger",)
    assert renewed.text == edited


def test_a_part_taken_out_or_torn_is_said() -> None:
    book = Runbook("a.md", "A", {"trigger": "one", "recovery": "two"})
    text = weave(book, None).text
    assert weave(book, "only mine").gone == ("trigger", "recovery")
    torn = text.replace("<!-- capacity:end -->", "", 1)
    found = weave(Runbook("a.md", "A", {"trigger": "new", "recovery": "new"}), torn)
    assert found.torn == ("trigger",)
    assert "one" in found.text


@pytest.fixture(scope="module")
def planned(sample_dir: Path) -> tuple[Workspace, dict[str, object]]:
    ws = Workspace(sample_dir, as_of="2026-10-20")
    return ws, plan_promotion(ws, ID)[0].document


def test_each_critical_path_and_third_party_has_one(planned: tuple[Workspace, dict[str, object]]) -> None:
    ws, document = planned
    books = {book.file: book for book in make_runbooks(document, ws.services, ws.operations)}
    paths = {path for service in ws.services.values() for path in service.critical_paths}
    assert {f"path-{path}.md" for path in paths} | {"third-party-payco-gateway.md"} <= set(books)
    party = books["third-party-payco-gateway.md"].blocks
    assert "450/s" in party["first five minutes"]
    assert "pay later" in party["escalation"]
    buy = books["path-buy.md"].blocks
    assert "order-db does not scale" in buy["first five minutes"]
    assert "sim\\_off" not in buy["switches"]
    assert "`sim_off`" in buy["switches"]
    files = {path.rsplit("/", 1)[1] for path in runbook_files(ws.services).values()}
    assert files <= set(books)


def test_names_that_would_be_markup_stay_names(planned: tuple[Workspace, dict[str, object]]) -> None:
    ws, document = planned
    evil = "x`\n<!-- capacity:end -->\n<script>[a](javascript:1)"
    texts = dict.fromkeys(("feature", "switch", "owner", "recovery"), evil)
    rungs = [{**rung, **texts} for rung in document["degradation"]]  # type: ignore[attr-defined]
    changed = {**document, "degradation": rungs}
    for book in make_runbooks(changed, ws.services, ws.operations):
        text = weave(book, None).text
        assert "<script>" not in text
        assert text.count("<!-- capacity:end -->") == len(book.blocks)
        assert weave(book, text).text == text


def test_a_hostile_path_is_no_markup_and_gaps_are_named() -> None:
    evil = "buy <script> <!-- capacity:end -->"
    words = f"""
- {{name: shop, tier: core, critical_paths: ["{evil}"], calls: [{{to: bank}}]}}
- {{name: bank, tier: core, third_party: true}}
"""
    plan = {"promotion": "2026 x; rm", "services": {"shop": {}, "bank": {}}, "degradation": []}
    services = parse_services(words)
    texts = [weave(book, None).text for book in make_runbooks(plan, services, Operations())]
    assert all("<script>" not in text and text.count("<!-- capacity:end -->") == 6 for text in texts)
    assert "`capacity track '2026 x; rm'`" in texts[0]
    gaps = next(text for text in texts if "Third party" in text)
    for says in ("No SLA is known", "whom to call is not written down", "**none is written down**"):
        assert says in gaps
    told = make_runbooks(plan, services, Operations(), contacts={"bank": "duty line"})
    assert any("call duty line" in book.blocks["first five minutes"] for book in told)


def test_the_command_writes_and_keeps(sample_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ws = Workspace(sample_copy, as_of="2026-10-20")
    ws.save(*plan_promotion(ws, ID))
    assert run(["-w", str(sample_copy), "runbooks", ID]) == 0
    path = sample_copy / "data" / "runbooks" / "path-buy.md"
    mine = path.read_text().replace("1. Write it down", "1. Breathe, then write it down") + "\nOur own note.\n"
    path.write_text(mine)
    capsys.readouterr()
    assert run(["-w", str(sample_copy), "runbooks", ID]) == 0
    assert "path-buy.md: first five minutes was changed by hand and is kept" in capsys.readouterr().out
    assert path.read_text() == mine
    path.with_name("path-gone.md").write_text(weave(Runbook("path-gone.md", "Gone", {"trigger": "- old"}), None).text)
    path.with_name("our-notes.md").write_text("Only ours.")
    assert run(["-w", str(sample_copy), "runbooks", ID]) == 0
    said = capsys.readouterr().out
    assert "path-gone.md belongs to no path or service any more" in said
    assert "our-notes.md" not in said
