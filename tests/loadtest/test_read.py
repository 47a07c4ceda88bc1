"""Runs in the plain form: what is read, what is refused, and what the gates say."""

from datetime import date
from pathlib import Path

import pytest

from capacity.errors import InputError
from capacity.loadtest import read_load_test, read_load_tests
from capacity.loadtest.gates import check_steps
from capacity.loadtest.steps import COLUMNS, to_frame

GOOD = "offered_qps,achieved_qps,p50_ms,p95_ms,p99_ms,error_fraction,seconds\n" + "".join(
    f"{100 * k},{min(100 * k, 520)},{20 + (k > 5) * 200},{40 + (k > 5) * 400},{60 + (k > 5) * 500},0,60\n"
    for k in range(1, 8)
)


def run_folder(
    root: Path, *, name: str = "run-1", csv: str = GOOD, yaml: str = "", tool: str = "csv", service: str = "checkout"
) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "steps.csv").write_text(csv)
    (folder / "run.yaml").write_text(f"service: {service}\ninstances: 2\ntool: {tool}\nfiles: [steps.csv]\n{yaml}")
    return folder


def test_a_run_is_read(tmp_path: Path) -> None:
    yaml = "environment: production\nstarted_at: 2026-10-20T02:00\nmocked: [payco]\nversion: '1'\n"
    test = read_load_test(run_folder(tmp_path, yaml=yaml), timezone="Asia/Shanghai")
    assert tuple(test.steps.columns) == COLUMNS
    assert test.steps["concurrency"].isna().all()
    assert test.started_at is not None
    assert test.started_at.isoformat() == "2026-10-20T02:00:00+08:00"
    assert "dependency_mocked" in test.troubles
    assert "not_production" not in test.troubles
    assert "<LoadTest: run-1 of checkout: 7 steps up to 520/s" in repr(test)
    assert "<table" in test._repr_html_()


def test_a_single_row_is_a_lower_bound(tmp_path: Path) -> None:
    test = read_load_test(run_folder(tmp_path, csv="achieved_qps,concurrency\n10,2\n"), timezone="UTC")
    assert {g.name: g.verdict for g in test.gates}["too_few_steps"] == "bounded"


def test_as_of_hides_what_came_later(tmp_path: Path) -> None:
    run_folder(tmp_path, name="a", yaml="started_at: 2026-10-19T23:59\n")
    run_folder(tmp_path, name="b", yaml="started_at: 2026-10-20T00:00\n")
    run_folder(tmp_path, name="c")
    found = read_load_tests(tmp_path, timezone="Asia/Shanghai", as_of=date(2026, 10, 20))
    assert [t.run for t in found] == ["c", "a"]
    assert "undated" in found[0].troubles
    assert len(read_load_tests(tmp_path / "absent", timezone="UTC")) == 0
    assert found.for_service("checkout").services == ("checkout",)
    assert list(found.to_frame()["run"]) == ["c", "a"]


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("", "an empty file"),
        ("achieved_qps,concurrency\n", "no rows"),
        ("achieved_qps\n1\n", "neither 'offered_qps' nor 'concurrency'"),
        ("offered_qps\n1\n", "no column 'achieved_qps'"),
        ("achieved_qps,concurency\n1,1\n", "did you mean 'concurrency'"),
        ("achieved_qps,concurrency,concurrency\n1,1,1\n", "each column once"),
        ("achieved_qps,concurrency\nfast,1\n", "a number, or an empty cell"),
        ("achieved_qps,concurrency\nnan,1\n", "finite"),
        ("achieved_qps,concurrency\ninf,1\n", "finite"),
        ("achieved_qps,concurrency\n-1,1\n", "not negative"),
        ("achieved_qps,concurrency\n1e18,1\n", "below 1e"),
        ("achieved_qps,concurrency\n1,0\n", "above 0"),
        ("achieved_qps,concurrency\n1\n", "2, as the header has"),
        ("achieved_qps,concurrency\n,1\n", "steps.csv:2 achieved_qps: got nothing"),
        ("achieved_qps,concurrency,error_fraction\n1,1,1.5\n", "a fraction from 0 to 1"),
        ("achieved_qps,concurrency,p50_ms,p95_ms\n1,1,30,20\n", r"at least p50_ms \(30\)"),
        ("achieved_qps,concurrency\n1,\0\n", "binary content"),
    ],
)
def test_bad_rows_are_told(tmp_path: Path, csv: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_load_test(run_folder(tmp_path, csv=csv), timezone="UTC")


def test_all_problems_at_once(tmp_path: Path) -> None:
    run_folder(tmp_path, name="a", csv="achieved_qps,concurrency\n-1,1\nx,2\n3,inf\n")
    run_folder(tmp_path, name="b", service="chekout")
    run_folder(tmp_path, name="c", tool="loadrunner")
    with pytest.raises(InputError) as caught:
        read_load_tests(tmp_path, timezone="UTC", services=["checkout"])
    assert len(caught.value.problems) == 5
    text = str(caught.value)
    assert "did you mean 'checkout'" in text
    assert "bring it to `tool: csv`" in text


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "absent.csv", "a\\0b"])
def test_files_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    folder = run_folder(tmp_path)
    (tmp_path / "secret.csv").write_text("achieved_qps,concurrency\n1,1\n")
    (folder / "run.yaml").write_text(f'service: a\ninstances: 1\ntool: csv\nfiles: ["{name}"]\n')
    with pytest.raises(InputError, match=r"a file (inside the run's folder|that exists)"):
        read_load_test(folder, timezone="UTC")


def test_run_yaml_problems(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    (folder / "run.yaml").write_text("service: a\ninstances: 0\ntool: csv\nfile: [x]\n")
    with pytest.raises(InputError) as caught:
        read_load_test(folder, timezone="UTC")
    assert "instances" in str(caught.value)
    assert "did you mean 'files'" in str(caught.value)


def gates(rows: list[dict[str, float]], name: str) -> list[str]:
    return [g.verdict for g in check_steps(to_frame(rows)) if g.name == name]


def test_littles_law() -> None:
    step = {"achieved_qps": 100.0, "concurrency": 10.0}
    assert gates([step | {"mean_ms": 101.0}], "littles_law") == ["ok"]
    assert gates([step | {"mean_ms": 120.0}], "littles_law") == ["excluded"]
    # The median alone says nothing unless the gap is far beyond what its difference from the mean explains.
    assert gates([step | {"p50_ms": 92.0, "p95_ms": 180.0}], "littles_law") == ["unknown"]
    assert gates([step | {"p50_ms": 30.0, "p95_ms": 50.0}], "littles_law") == ["flagged"]
    assert gates([step | {"p50_ms": 92.0}], "littles_law") == ["unknown"]


def test_generator_or_server() -> None:
    fine = [{"offered_qps": r, "achieved_qps": r, "p95_ms": 50.0, "seconds": 60.0} for r in (100.0, 200.0, 300.0)]
    flat = {"offered_qps": 400.0, "achieved_qps": 305.0, "p95_ms": 51.0, "seconds": 60.0}
    assert gates([*fine, flat], "generator_saturated") == ["ok", "ok", "ok", "bounded"]
    assert gates([*fine, flat | {"p95_ms": 400.0}], "generator_saturated")[-1] == "ok"
    assert gates([*fine, flat | {"cpu_fraction": 0.98}], "generator_saturated")[-1] == "ok"
    collapsed = [flat | {"offered_qps": r, "p95_ms": 900.0, "achieved_qps": 250.0} for r in (400.0, 500.0)]
    assert gates([*fine, *collapsed], "generator_saturated")[-2:] == ["ok", "ok"]


def test_errors_and_knee() -> None:
    rows = [{"offered_qps": r, "achieved_qps": r} for r in (100.0, 200.0, 300.0, 400.0)]
    assert gates(rows, "knee_reached") == ["bounded"]
    assert gates(rows[:2], "knee_reached") == ["unknown"]
    assert gates([*rows, {"offered_qps": 600.0, "achieved_qps": 420.0}], "knee_reached") == ["ok"]
    counted = {"offered_qps": 500.0, "achieved_qps": 500.0, "error_fraction": 0.3}
    assert gates([*rows, counted], "errors_as_throughput") == ["flagged"]
    assert gates([*rows, counted | {"achieved_qps": 350.0}], "errors_as_throughput") == []
