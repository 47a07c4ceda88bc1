"""The command line as a person uses it: verbs, codes, JSON, and never a traceback."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capacity.cli.main import VERBS, run

AS_OF = "2026-10-20"


def call(capsys, *arguments):
    code = 0
    try:
        code = run([str(argument) for argument in arguments])
    except SystemExit as stopped:
        code = stopped.code or 0
    out, err = capsys.readouterr()
    return code, out, err


def test_help_is_quick_and_names_every_verb():
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "capacity", "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 3, (
        "hundreds of milliseconds are meant; seconds mean something heavy is loaded"
    )
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(capsys, verb):
    code, out, _ = call(capsys, verb, "--help")
    assert code == 0
    assert "Usage" in out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["forcast", "x"], 2, "did you mean 'forecast'"),
        (["-w", "no/such/place", "check"], 2, "capacity init"),
        (["--as-of", "soon", "check"], 2, "2026-10-20"),
        (["forecast", "2026-doubel11"], 2, "did you mean '2026-double11'"),
        (["plan", "2026-double11", "--set", "demnd=1.2"], 2, "did you mean 'demand'"),
        (["plan", "2026-double11", "--set", "demand"], 2, "--set demand=1.2"),
        (["plan", "2026-double11", "--set", "zone_losses=-1"], 2, "zone_losses"),
        (["plan", "2025-double11"], 3, "--as-of"),
        (["retrospective", "2025-618"], 3, "capacity plan 2025-618"),
        (["report", "run", "forcast", "--promotion", "2026-double11"], 2, "did you mean 'forecast'"),
        (["saturation", "chekcout"], 2, "did you mean 'checkout'"),
        (["ingest", "nowhere.csv", "--as", "trafic"], 2, "did you mean 'traffic'"),
        (["ingest", "nowhere.csv", "--as", "traffic"], 2, "nowhere.csv"),
    ],
)
def test_bad_use_is_told_with_a_remedy(capsys, sample_dir, arguments, code, says):
    place = [] if "-w" in arguments else ["-w", sample_dir]
    got, out, err = call(capsys, *place, *arguments)
    assert got == code, err
    assert says in err
    assert out == ""
    assert "Traceback" not in err


def test_workspace_option_works_before_and_after_the_verb(capsys, sample_dir):
    before = call(capsys, "-w", sample_dir, "--as-of", AS_OF, "check", "--json")
    after = call(capsys, "check", "-w", sample_dir, "--as-of", AS_OF, "--json")
    assert before == after
    assert before[0] == 0


@pytest.mark.parametrize(
    ("arguments", "schema", "key"),
    [
        (["check"], "check", "assumptions"),
        (["services"], "services", "services"),
        (["forecast", "2026-double11"], "forecast", "demand"),
        (["saturation"], "saturation", "services"),
        (["journal", "show", "2026-double11"], "journal", "entries"),
    ],
)
def test_json_is_one_object_and_nothing_else(capsys, sample_dir, arguments, schema, key):
    code, out, _ = call(capsys, "-w", sample_dir, "--as-of", AS_OF, *arguments, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == f"capacity.{schema}/1"
    assert key in document


def test_backtest_tells_scores_and_promotions_to_people_and_programs(capsys, sample_dir):
    code, out, err = call(capsys, "-w", sample_dir, "--as-of", "2024-12-20", "backtest", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["schema"] == "capacity.backtest/1"
    assert {row["method"] for row in document["rows"]} >= {"forecast", "seasonal_naive", "history_alone"}
    told = {(row["promotion"], row["metric"]) for row in document["promotions"]}
    assert ("2024-double11", "dat") in told
    assert all(row["as_of"] < "2024-12-20" for row in document["promotions"])
    assert document["why"]
    assert document["assumptions"]

    code, out, _ = call(capsys, "-w", sample_dir, "--as-of", "2024-12-20", "backtest")
    assert code == 0
    assert "Past promotions, forecast three weeks before" in out
    assert "The forecast by days ahead" in out


def test_forecast_tells_what_it_leans_on_and_the_businesss_estimates(capsys, sample_dir):
    document = json.loads(call(capsys, "-w", sample_dir, "--as-of", AS_OF, "forecast", "2026-double11", "--json")[1])
    assert {row["metric"] for row in document["business_peak_tps"]} == {"peak_tps"}
    assert all(row["weight"] is not None for row in document["evidence"])
    assert document["doubt"]["options"]
    out = call(capsys, "-w", sample_dir, "--as-of", AS_OF, "forecast", "2026-double11")[1]
    assert "The past promotions it leans on" in out
    assert "The business's estimate of the worst second beside the forecast's" in out


def test_plan_approve_rehearse_and_review(capsys, sample_copy, tmp_path):
    out_file = tmp_path / "plan.json"
    code, out, err = call(
        capsys,
        "-w",
        sample_copy,
        "plan",
        "2026-double11",
        "--as-of",
        AS_OF,
        "--approve",
        "ada",
        "--out",
        out_file,
        "--json",
    )
    assert code == 0, err
    document = json.loads(out)
    assert document == json.loads(out_file.read_text(encoding="utf-8"))
    home = sample_copy / "data" / "plans" / "2026-double11" / AS_OF
    assert document == json.loads((home / "plan.json").read_text(encoding="utf-8"))
    assert json.loads((home / "approved.json").read_text(encoding="utf-8"))["approved_by"] == "ada"
    assert all(not Path(item["path"]).is_absolute() for item in document["inputs"])

    code, out, err = call(
        capsys, "-w", sample_copy, "rehearse", "2026-double11", "--fault", "demand=1.5", "--paths", "10", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["schema"] == "capacity.rehearsal/1"

    code, out, err = call(capsys, "-w", sample_copy, "retrospective", "2026-double11", "--learn", "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["schema"] == "capacity.retrospective/1"
    assert (sample_copy / "data" / "lessons.yaml").is_file()
    assert call(capsys, "-w", sample_copy, "check")[0] == 0


def test_same_inputs_give_the_same_plan_to_the_byte(capsys, sample_copy):
    first = call(capsys, "-w", sample_copy, "plan", "2026-double11", "--as-of", AS_OF, "--json")[1]
    second = call(capsys, "-w", sample_copy, "plan", "2026-double11", "--as-of", AS_OF, "--json")[1]
    assert first == second


def test_init_never_overwrites_and_an_empty_workspace_says_what_is_missing(capsys, tmp_path):
    shop = tmp_path / "shop"
    assert call(capsys, "init", shop)[0] == 0
    assert call(capsys, "-w", shop, "check")[0] == 0
    code, _, err = call(capsys, "-w", shop, "forecast", "x")
    assert code == 2
    assert "x" in err
    (shop / "capacity.toml").write_text('timezone = "Mars/Olympus"\n', encoding="utf-8")
    code, _, err = call(capsys, "-w", shop, "check")
    assert code == 2
    assert "Mars/Olympus" in err
    code, _, err = call(capsys, "init", shop)
    assert code == 2
    assert "capacity.toml" in err


def test_every_default_in_use_is_an_assumption_of_the_plan(capsys, sample_dir):
    checked = json.loads(call(capsys, "-w", sample_dir, "--as-of", AS_OF, "check", "--json")[1])["assumptions"]
    arguments = ("-w", sample_dir, "--as-of", AS_OF, "plan", "2026-double11", "--set", "demand=1.1", "--json")
    answer = json.loads(call(capsys, *arguments)[1])
    assert answer["schema"] == "capacity.what-if/1"
    planned = answer["plan"]["assumptions"]
    assert set(checked) <= set(planned)
    assert any("demand = 1.1" in line for line in planned)
