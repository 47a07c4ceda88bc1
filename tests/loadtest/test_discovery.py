"""Files of unknown origin: whose they are, which are read, and the run.yaml that is drafted."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from capacity.cli.main import run as call
from capacity.errors import InputError
from capacity.loadtest import discover, read_load_test


def vegeta_rows(
    rates: tuple[int, ...] = (50, 100, 200), seconds: int = 20, begins_ns: int = 1_700_000_000 * 10**9
) -> str:
    rng = np.random.default_rng(0)
    lines = []
    for step, rate in enumerate(rates):
        for k in range(rate * seconds):
            start = begins_ns + int((step * (seconds + 2) + k / rate) * 1e9)
            latency = int(rng.gamma(4.0, 5e6))
            lines.append(f"{start},200,{latency},0,2,,b2s=,r{rate},{k},GET,http://host/,")
    return "\n".join(lines) + "\n"


def test_a_file_is_recognized_by_its_content_and_a_run_yaml_drafted(tmp_path: Path) -> None:
    (tmp_path / "whatever.txt").write_text(vegeta_rows())
    (tmp_path / "notes.md").write_text("what we did\n")
    found = discover(tmp_path)
    assert found.tool == "vegeta"
    assert found.reading.steps["offered_qps"].tolist() == pytest.approx([50, 100, 200], rel=0.01)
    assert any("notes.md" in said for said in found.left_out)
    drafted = yaml.safe_load(found.run_yaml(service='a "b": c', instances=3))
    assert drafted["service"] == 'a "b": c'
    assert (drafted["tool"], drafted["files"], drafted["instances"]) == ("vegeta", ["whatever.txt"], 3)


def test_a_drafted_run_is_read_when_completed_and_refused_before(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    folder.mkdir()
    (folder / "steps.csv").write_text(vegeta_rows())
    assert call(["loadtest", "read", str(folder)]) == 0
    text = (folder / "run.yaml").read_text()
    with pytest.raises(InputError, match="2 problems"):
        read_load_test(folder, timezone="UTC")
    # Shown again, with what is missing; not written over.
    assert call(["loadtest", "read", str(folder)]) == 0
    assert (folder / "run.yaml").read_text() == text
    (folder / "run.yaml").write_text(text.replace("service:", "service: shop").replace("instances:", "instances: 2"))
    test = read_load_test(folder, timezone="UTC")
    assert (test.service, test.instances, test.tool, len(test.steps)) == ("shop", 2, "vegeta", 3)
    assert test.started_at is not None
    assert test.errors_counted is False


def test_json_carries_the_names_of_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text(vegeta_rows())
    assert call(["loadtest", "read", str(tmp_path / "a.csv"), "--json", "--no-write"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "capacity.loadtest/1"
    assert document["tool"] == "vegeta"
    assert set(document["steps"][0]) == {
        "offered_qps",
        "achieved_qps",
        "concurrency",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "error_fraction",
        "cpu_fraction",
        "seconds",
    }
    assert {"littles_law", "too_few_steps", "knee_reached"} <= {g["name"] for g in document["gates"]}
    assert not (tmp_path / "run.yaml").exists()


def test_only_named_requests_are_kept(tmp_path: Path) -> None:
    rows = vegeta_rows()
    other = vegeta_rows(rates=(100, 100, 100)).replace("http://host/", "http://host/other")
    (tmp_path / "a.csv").write_text(rows + other)
    yaml_text = "service: shop\ninstances: 1\ntool: vegeta\nfiles: [a.csv]\nrequests: ['GET http://host/']\n"
    (tmp_path / "run.yaml").write_text(yaml_text)
    test = read_load_test(tmp_path, timezone="UTC")
    assert test.steps["achieved_qps"].max() == pytest.approx(200, rel=0.02)
    assert set(test.requests or {}) == {"GET http://host/", "GET http://host/other"}


def test_unknown_files_are_refused_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n")
    with pytest.raises(InputError, match="no load-test result"):
        discover(tmp_path)
    with pytest.raises(InputError, match="no load-test result"):
        discover(tmp_path / "a.txt")


def test_runs_of_two_tools_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(vegeta_rows())
    (tmp_path / "b.csv").write_text("offered_qps,achieved_qps\n10,10\n20,20\n30,30\n")
    with pytest.raises(InputError, match="several tools"):
        discover(tmp_path)


def test_a_file_cut_off_gives_what_can_be_read_and_says_where(tmp_path: Path) -> None:
    import gzip

    whole = gzip.compress(vegeta_rows().encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) * 2 // 3])
    found = discover(tmp_path / "a.csv.gz")
    assert len(found.reading.steps) >= 2
    assert found.reading.broken
    assert "a.csv.gz after" in found.reading.broken[0].where


def test_another_run_in_the_folder_is_called_one(tmp_path: Path) -> None:
    header = "timeStamp,elapsed,label,responseCode,threadName,success,allThreads"
    for name, begins_ms, columns in (("a", 1_700_000_000_000, header), ("b", 1_600_000_000_000, header + ",Latency")):
        more = ",1" if "Latency" in columns else ""
        rows = [
            f"{begins_ms + 15_000 * step + k * 100},100,x,200,t 1-{u},true,{users}{more}"
            for step, users in enumerate((1, 2, 4))
            for k in range(150)
            for u in range(users)
        ]
        (tmp_path / f"{name}.jtl").write_text("\n".join([columns, *rows]) + "\n")
    found = discover(tmp_path)
    assert [f.name for f in found.files] == ["a.jtl"]
    assert any("b.jtl (jmeter, another run, of 2020-09-13" in said for said in found.left_out)


def test_why_a_file_was_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(vegeta_rows())
    (tmp_path / "b.jtl").write_text("elapsed,label,success\n1,a,true\n")
    said = " ".join(discover(tmp_path).left_out)
    assert "b.jtl" in said
    assert "no column 'timeStamp'" in said


def test_a_large_second_form_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text(vegeta_rows())
    (tmp_path / "b.json").write_text('{"latencies": {"mean": 1}, "requests": 1, "rate": 5, "throughput": 5}')
    monkeypatch.setattr("capacity.loadtest.discovery._MOST_BYTES_AGAIN", 10)
    found = discover(tmp_path)
    assert [f.name for f in found.files] == ["a.csv"]
    assert "left out: b.json (vegeta, large, not read: give it by itself)" in found.left_out


def test_a_folder_that_cannot_be_written_is_shown_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text(vegeta_rows())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("capacity.document.write_text", refuse)
    assert call(["loadtest", "read", str(tmp_path)]) == 0
    assert "run.yaml cannot be written (Permission denied)" in capsys.readouterr().out
    assert call(["loadtest", "read", str(tmp_path), "--json"]) == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)["steps"]) == 3
    assert "cannot be written" in shown.err


def test_what_is_nobodys_is_told_by_how_it_begins(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("unable to connect to 127.0.0.1\n")
    with pytest.raises(InputError, match="which begins 'unable to connect to"):
        discover(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(InputError, match="which is empty"):
        discover(tmp_path / "a.txt")


def test_a_file_that_cannot_be_opened_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    from capacity.loadtest.readers.files import head_of

    with pytest.raises(FileNotFoundError):
        head_of(tmp_path / "gone.csv")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_steers_a_terminal_does_not_reach_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    steering = "\x1b[2J\x9b31m\u202e"
    header = "timeStamp,elapsed,label,responseCode,threadName,success,allThreads"
    rows = [f"{1_700_000_000_000 + 100 * k},100,{steering},200,t 1-1,true,1" for k in range(300)]
    rows.append(f"soon,{steering}")
    (tmp_path / f"a{steering}.jtl").write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / f"b{steering}.txt").write_text(steering)
    assert call(["loadtest", "read", str(tmp_path), "--no-write", *more]) == 0
    shown = capsys.readouterr()
    assert not set(steering) & set("\x1b\x9b\u202e") & set(shown.out + shown.err)
