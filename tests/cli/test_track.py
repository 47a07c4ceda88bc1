"""capacity track: one look, an evening played at speed, and what is refused."""

import json
from pathlib import Path

import pytest

from capacity.cli.main import run
from capacity.flow import plan_promotion
from capacity.workspace import Workspace

ID = "2026-double11"


@pytest.fixture(scope="module")
def shop(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    import shutil

    folder = Path(shutil.copytree(sample_dir, tmp_path_factory.mktemp("track") / "shop"))
    before = Workspace(folder, as_of="2026-10-20")
    before.save(*plan_promotion(before, ID))
    return str(folder)


def test_one_look_is_a_document_and_a_page(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-w", shop, "track", ID, "--replay", "--at", "2026-11-10T20:10", "--json", "--no-journal"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["phase"]) == ("capacity.track/1", "opening")
    assert {row["service"] for row in document["services"]} >= {"checkout", "home"}
    page = Path(document["page"]).read_text(encoding="utf-8")
    assert 'http-equiv="refresh"' in page
    assert "checkout" in page
    assert not (Path(shop) / "data" / "journal" / f"{ID}.jsonl").read_text(encoding="utf-8").count("capacity track")


def test_an_evening_is_played_at_speed_and_written_down(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    span = ["--at", "2026-11-10T19:58", "--until", "2026-11-10T20:02", "--speed", "600", "--every", "60"]
    assert run(["-w", shop, "track", ID, "--replay", *span]) == 0
    assert "in opening" in capsys.readouterr().out
    alerts = [one for one in Workspace(shop).journal(ID).of_kind("alert") if one.who == "capacity track"]
    assert alerts
    assert len({(one.text.partition(":")[0], one.service) for one in alerts}) >= len(alerts) - 3, (
        "said once while it lasts"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([ID], "no Prometheus is known"),
        ([ID, "--prometheus", "http://a:b@host"], "holds credentials"),
        ([ID, "--replay", "--at", "soon"], "--at"),
        (["2026-doubel11", "--replay"], "did you mean"),
        (["2026-double12", "--replay"], "there is no plan"),
    ],
)
def test_what_cannot_be_is_said(shop: str, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert run(["-w", shop, "track", *arguments]) in (2, 3)
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    assert "a:b" not in told
