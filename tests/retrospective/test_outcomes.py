"""Outcomes with fields to fill, what worked, earlier promotions; kept for the next kick-off and readiness."""

from pathlib import Path

import pytest

from capacity.cli.main import run
from capacity.errors import InputError
from capacity.flow import plan_promotion, review_promotion
from capacity.report.review import tactics_at_hand
from capacity.retrospective import Review, compare_earlier, find_tactics, outcomes_frame, parse_filled
from capacity.workspace import Workspace

ID = "2025-double11"


@pytest.fixture(scope="module")
def reviewed(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Review]:
    import shutil

    folder = Path(shutil.copytree(sample_dir, tmp_path_factory.mktemp("kept") / "shop"))
    before = Workspace(folder, as_of="2025-10-20")
    before.save(*plan_promotion(before, ID))
    after = Workspace(folder)
    return after, review_promotion(after, ID)


def test_outcomes_come_from_data_or_wait_for_people(reviewed: tuple[Workspace, Review]) -> None:
    _, review = reviewed
    frame = outcomes_frame(review, None).set_index("name")
    inside = review.demand[(review.demand["metric"] == "dat") & review.demand["in_promotion"]]
    assert frame.loc["orders", "value"] == inside["actual"].sum()
    kept = 1 - review.capacity["slo_minutes_broken"].sum() / review.capacity["slo_minutes_judged"].sum()
    assert frame.loc["objectives kept", "value"] == pytest.approx(kept)
    assert set(frame.loc[["revenue", "complaints", "root_causes"], "source"]) == {"to be filled in"}
    assert frame["area"].tolist() == sorted(frame["area"], key=["technical", "product", "business"].index)
    told = parse_filled("{business: {revenue: 5.0e8}}", where="review")
    assert outcomes_frame(review, told).set_index("name").loc["revenue", ["value", "source"]].tolist() == [
        5.0e8,
        "told",
    ]


def test_what_worked_is_what_the_numbers_say(reviewed: tuple[Workspace, Review]) -> None:
    ws, review = reviewed
    rows = review.capacity.set_index("service")
    for tactic in find_tactics(review, ws.journal(ID)):
        if tactic.way == "pre_scaling":
            row = rows.loc[tactic.service]
            assert row["decision"] == "scale_out"
            assert row["instances_used"] >= row["instances_needed"]
            assert row["slo_minutes_broken"] == 0
        if tactic.way == "limit":
            assert rows.loc[tactic.service, "rejected"] > 0
            assert rows.loc[tactic.service, "wrongly_rejected"] == 0


def test_earlier_promotions_of_the_kind_stand_beside_it(reviewed: tuple[Workspace, Review]) -> None:
    ws, review = reviewed
    earlier = list(ws.promotions.before(review.promotion.starts_at).values())
    frame = compare_earlier(review, earlier)
    assert frame["promotion"].tolist() == ["2025-double11", "2024-double11", "2023-double11"]
    first, second = frame["dat"].tolist()[:2]
    assert frame["dat_growth"].iloc[0] == pytest.approx(first / second - 1)
    assert frame["dau"].iloc[0] == review.demand.loc[review.demand["metric"] == "dau", "actual"].max()


def test_what_people_filled_in_is_never_lost_and_the_next_one_reads_it(
    reviewed: tuple[Workspace, Review], capsys: pytest.CaptureFixture[str]
) -> None:
    ws, review = reviewed
    path = ws.keep_review(review)
    path.write_text(
        path.read_text().replace("revenue: null", "revenue: 5.0e8").replace("complaints: null", "complaints: 12")
    )
    assert run(["-w", str(ws.directory), "retrospective", ID, "--keep"]) == 0
    assert "stays" in capsys.readouterr().err
    kept = ws.kept_review(ID)
    assert kept is not None
    assert (kept.business.revenue, kept.product.complaints) == (5.0e8, 12)
    assert [one.text for one in kept.actions] == [one.text for one in review.actions]
    at_hand = tactics_at_hand(ws, "2026-double11").frame
    assert at_hand["says"].tolist() == [one.says for one in kept.tactics]
    assert Workspace(ws.directory, as_of="2025-11-01").kept_review(ID) is None, (
        "a review is not known before its evening"
    )
    path.write_text(path.read_text().replace("revenue", "revenu"))
    with pytest.raises(InputError, match="revenue"):
        ws.kept_review(ID)
