"""Bad input from the command line: an exit code, words that name what to do, nothing lost, no wrong number."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from capacity.plan import signature

HOME = "data/plans/2026-spring/2026-03-02"
PLAN = ("plan", "2026-spring", "--json")
REHEARSE = ("rehearse", "2026-spring", "--paths", "2", "--json")
EVIL = ["<script>alert(1)</script>", 'O\'Brien "q"', "a/../../etc/passwd", "🎉 双11", "{{ x }}", "--json"]


def said(answer, code, *words):
    assert answer.code == code, answer.err
    missing = [word for word in words if word not in answer.err]
    assert not missing, f"{missing} not in {answer.err}"
    return answer


def tables_of(root: Path) -> dict[str, str]:
    files = [path for path in (root / "data").rglob("*") if path.is_file() and "rejected" not in path.parts]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.name != ".lock"}


# ---------------------------------------------------------------------- ingest

DAILY, TRAFFIC, CALLS = "date,dau,dat\n", "ts,service,requests\n", "caller,callee,calls,window_start,window_end\n"


@pytest.mark.parametrize(
    ("table", "name", "content", "words"),
    [
        ("daily_activity", "a.csv", "", ["empty file", "nothing was changed"]),
        ("daily_activity", "a.csv", "  \n\n", ["empty file"]),
        ("daily_activity", "a.csv", DAILY, ["header without rows"]),
        ("daily_activity", "a.csv", "date,users\n2026-03-01,4\n", ["dau", "dat", "'users'"]),
        ("daily_activity", "a.csv", "date,date,dau,dat\n2026-03-01,2026-03-01,4,2\n", ["2 columns of that name"]),
        ("daily_activity", "a.csv", DAILY + "2026-03-01,many,3\nyesterday,4,5\n", ["not a number", "not a day", ":3"]),
        ("daily_activity", "a.csv", DAILY + "2026-03-01,NaN,3\n2026-03-02,inf,3\n", ["NaN", "infinite"]),
        ("daily_activity", "a.csv", DAILY + "2026-03-01,-5,3\n2026-03-02,1e18,3\n", ["negative", "not a measurement"]),
        ("daily_activity", "a.csv", bytes(range(256)) * 9, ["binary"]),
        ("daily_activity", "a.csv", (DAILY + "2026-03-01,4,2\n").encode("utf-16"), ["UTF-16"]),
        ("daily_activity", "a.parquet", b"PAR1 and then nothing", ["broken Parquet"]),
        ("daily_activity", "a.csv.gz", b"\x1f\x8bnope", ["cannot be read"]),
        ("daily_activity", "a.jsonl", '{"dau": 1, "dat": 1}\n[1]\nnope\n', ["'date'"]),
        ("traffic", "a.csv", TRAFFIC + "2026-03-01,shop,4\n", ["not an ISO 8601 time"]),
        ("traffic", "a.csv", TRAFFIC + "2026-03-01T00:00,shop,1000000000000000000\n", ["not a measurement"]),
        ("traffic", "a.csv", TRAFFIC + "9999-12-31T00:00,shop,4\n2026-03-01T00:00,,4\n", ["year outside", "empty"]),
        ("calls", "a.csv", CALLS + "a,b,-5,2026-03-01T00:00,2026-03-02T00:00\n", ["negative"]),
    ],
)
def test_a_source_that_cannot_be_taken_in_changes_nothing(call, shop, table, name, content, words):
    before = tables_of(shop.root)
    source = shop.put(f"exports/{name}", content)
    answer = said(call("ingest", source, "--as", table, "-w", shop, "--json"), 2, name, *words)
    assert answer.out == ""
    assert tables_of(shop.root) == before


def test_what_can_be_taken_in_is_and_the_rest_is_counted(call, bare):
    name = "we\"ird <b>na'me 🎉.csv"
    rows = [
        "2026-03-01T00:00:00+08:00,shop,10",
        "2026-03-01T00:00:00-05:00,shop,12",
        "2026-03-01T20:00:00,shop,13",
        *(f'2026-03-01T00:00:00,"{evil.replace(chr(34), chr(34) * 2)}",7' for evil in EVIL),
        "2026-03-01T01:00:00,shop,NaN",
    ]
    source = bare.put(f"exports/{name}", TRAFFIC + "\n".join(rows) + "\n")
    found = said(call("-w", bare, "ingest", source, "--as", "traffic", "--json"), 0).json
    assert (found["rows_read"], found["rows_kept"]) == (len(rows), len(rows) - 1)
    draft = said(call("-w", bare, "services", "draft", "--json"), 0).json["services_yaml"]
    bare.put("data/services.yaml", draft)
    bare.put("data/loadtests/shop-1/run.yaml", "service: shop\ninstances: 1\ntool: csv\nfiles: [steps.csv]\n")
    names = [row["service"] for row in said(call("-w", bare, "services", "--json"), 0).json["services"]]
    assert set(names) == {"shop", *EVIL}


# ----------------------------------------------------------- files people write


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("capacity.toml", "timezone = ", ["capacity.toml", "TOML"]),
        ("capacity.toml", b"\xff\xfe\x00", ["UTF-8"]),
        (
            "capacity.toml",
            'timezone = "Mars/X"\ncurrency = 5\n[risk]\nzone_losses = -1\noverload_probability = nan\nfoo = 1\n',
            ["Mars/X", "currency", "zone_losses", "finite", "foo", "5 problems"],
        ),
        ("data/promotions.yaml", "", ["empty file", "write []"]),
        ("data/promotions.yaml", "{id: a, kind: b}\n", ["a mapping", "a list"]),
        ("data/promotions.yaml", "- 5\n- {id: '', kind: k}\n", ["[0]", "starts_at", "ends_at"]),
        (
            "data/promotions.yaml",
            """\
- {id: a, kind: k, starts_at: 2026-03-20T20:00, ends_at: 2026-03-19T20:00, intensity: -1}
- {id: a, kind: k, starts_at: .inf, ends_at: 5}
""",
            [":1", ":2", "after starts_at", "intensity", "an id of its own"],
        ),
        ("data/services.yaml", "- {name: a}\n", ["tier"]),
        (
            "data/services.yaml",
            "- {name: a, tier: kore, max_qps: .nan, instances: 1.0e18, calls: [{to: b, per_request: -1}, {to: a}]}\n",
            ["kore", "max_qps", "1e+18", "per_request", "'b'", "cycle"],
        ),
        ("data/lessons.yaml", "lessons: [\n", ["lessons.yaml", "YAML"]),
        ("data/loadtests/shop-1/run.yaml", "", ["shop-1/run.yaml", "empty file"]),
        ("data/loadtests/shop-1/run.yaml", "service: shpo\ninstances: 1\ntool: csv\nfiles: [steps.csv]\n", ["'shop'"]),
        ("data/loadtests/shop-1/run.yaml", "service: shop\ninstances: 1\ntool: csv\nfiles: [../x]\n", ["inside"]),
        ("data/loadtests/shop-1/steps.csv", "", ["shop-1/steps.csv", "empty file"]),
        ("data/loadtests/shop-1/steps.csv", "a,b\n1,2\n", ["shop-1/steps.csv:1", "achieved_qps", "concurrency"]),
        (
            "data/loadtests/shop-1/steps.csv",
            "offered_qps,achieved_qps\n10,nan\n-5,inf\n1e18,x\n",
            ["steps.csv:2", "steps.csv:3", "steps.csv:4", "finite", "negative"],
        ),
    ],
)
def test_every_problem_of_a_file_is_told_by_check_and_stops_a_plan(call, shop, name, content, words):
    shop.put(name, content)
    answer = said(call("-w", shop, "check", "--json"), 2, *words)
    assert answer.json["problems"]
    assert said(call("-w", shop, *PLAN), 2, *words).out == ""
    assert not (shop / "data/plans").exists()


def test_problems_of_all_files_come_at_once(call, shop):
    shop.put("data/promotions.yaml", "{}\n")
    shop.put("data/services.yaml", "- {name: a}\n")
    (shop / "data/loadtests/shop-1/steps.csv").unlink()
    said(call("check", "-w", shop), 2, "promotions.yaml", "services.yaml")
    (shop / "capacity.toml").unlink()
    said(call("check", "-w", shop), 2, "is not a workspace", "capacity init")


# --------------------------------------------------------- what is not covered


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (["forecast", "2026-spring"], ["daily activity covers 0 days", "ingest"]),
        (PLAN, ["daily activity covers 0 days", "ingest"]),
        (["backtest"], ["ingest"]),
        (["rehearse", "2026-spring"], ["no plan of 2026-spring\n", "capacity plan 2026-spring"]),
        (["retrospective", "2026-spring"], ["no plan", "capacity plan 2026-spring"]),
        (["services", "draft"], ["no traffic", "ingest"]),
    ],
)
def test_without_any_history_nothing_is_made_up(call, bare, verb, words):
    assert said(call("-w", bare, *verb), 3, *words).out == ""


def test_one_day_of_history_is_too_little(call, bare):
    source = bare.put("exports/day.csv", DAILY + "2026-03-01,10000,500\n")
    assert call("-w", bare, "ingest", source, "--as", "daily_activity").code == 0
    said(call("-w", bare, *PLAN), 3, "1 day", "14 days")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--as-of", "soon"], 2, ["'soon'", "YYYY-MM-DD"]),
        (["--as-of", "2026-13-40"], 2, ["2026-13-40"]),
        (["--as-of", ""], 2, ["--as-of", "2026-10-20"]),
        (["--as-of", "2020-01-01"], 3, ["0 days"]),
        (["--as-of", "2026-03-21"], 3, ["--as-of 2026-03-20"]),
        (["--set", "demand=nan"], 2, ["demand"]),
        (["--set", "demand=1e300"], 2, ["demand", "1000"]),
        (["--set", "zone_losses=1.5"], 2, ["whole number"]),
        (["--set", "overload_probability=2"], 2, ["less than 1"]),
    ],
)
def test_a_question_that_cannot_be_answered(call, shop, arguments, code, words):
    assert said(call("-w", shop, *PLAN, *arguments), code, *words).out == ""
    assert not (shop / "data/plans").exists()


def test_promotions_of_the_past_and_of_the_far_future(call, shop):
    shop.put(
        "data/promotions.yaml",
        "- {id: old, kind: k, starts_at: 2025-12-20T20:00, ends_at: 2025-12-21T00:00}\n"
        "- {id: far, kind: k, starts_at: 2526-03-20T20:00, ends_at: 2526-03-21T00:00}\n",
    )
    said(call("-w", shop, "plan", "old"), 3, "2025-12-20", "--as-of")
    said(call("-w", shop, "plan", "far"), 3, "days after the history's end", "400 days")
    said(call("-w", shop, "plan", "fra"), 2, "did you mean 'far'?")


# ------------------------------------------------------- services of all kinds


def test_an_infeasible_plan_is_written_and_promises_nothing_it_does_not_know(call, shop):
    shop.put(
        "data/services.yaml",
        """\
- {name: shop, tier: core, instances: 6, zones: 3, slo: {p99_ms: 300}, entry: {per_dau: 20}, calls: [{to: sms}]}
- {name: sms, tier: core, third_party: true}
- {name: lonely, tier: core, instances: 2}
- {name: untested, tier: non_core, entry: {per_dau: 1}}
""",
    )
    answer = said(call("-w", shop, *PLAN), 3, "no feasible plan", "sms", "name its max_qps", "lonely", "untested")
    document = answer.json
    assert document == json.loads((shop / HOME / "plan.json").read_text(encoding="utf-8"))
    assert document["signature"] == signature(document)
    for key in ("core_overload_probability", "non_core_overload_probability", "total_overload_probability"):
        assert document[key] is None
    for name in ("sms", "lonely", "untested"):
        entry = document["services"][name]
        assert (entry["overload_probability"], entry["capacity_evidence"]) == (None, "none")
        assert entry["instance_capacity_qps"]["q50"] is None
    assert document["services"]["lonely"]["peak_qps"]["q99"] == 0
    rehearsal = said(call("-w", shop, *REHEARSE), 0).json
    assert rehearsal["overload_fraction"] is None
    assert "sms" in rehearsal["why"][0]


def test_what_we_cannot_scale_is_never_told_to_scale(call, shop):
    text = (shop / "data/services.yaml").read_text(encoding="utf-8")
    shop.put("data/services.yaml", text.replace(", max_qps: 90000", "").replace(", max_qps: 5000", ""))
    answer = said(call("-w", shop, *PLAN), 3, "show that bank takes", "name its max_qps")
    assert "quota" not in answer.err
    entry = answer.json["services"]["bank"]
    # The history has six instances, the catalogue one: what they served together is what was seen.
    assert entry["decision"] == "negotiate"
    assert entry["instances"] == entry["instances_now"] == 1
    assert 20_500 * 1.5 / 24 / 3600 < entry["instance_capacity_qps"]["q50"] < 20_500 * 2.2 / 24 / 3600
    assert {"option": "scale out", "because": "a third party is not ours to scale"} in entry["rejected"]


def test_no_traffic_and_no_load_test_still_make_a_plan_that_says_so(call, bare):
    shutil.rmtree(bare / "data/loadtests")
    source = bare.put("exports/daily.csv", _days())
    assert call("-w", bare, "ingest", source, "--as", "daily_activity").code == 0
    document = said(call("-w", bare, *PLAN), 3, "no capacity of shop").json
    assert document["services"]["shop"]["instance_capacity_qps"]["q50"] is None
    assert document["services"]["shop"]["peak_qps"]["q50"] > 0
    assert said(call("-w", bare, "saturation", "--json"), 0).json["services"]["shop"]["capacity_evidence"] == "none"


def _days() -> str:
    return DAILY + "".join(f"{np.datetime64('2026-01-01') + d},{10_000 + d},{500 + d}\n" for d in range(60))


def test_no_service_is_no_plan(call, shop):
    shop.put("data/services.yaml", "[]\n")
    shutil.rmtree(shop / "data/loadtests")
    said(call("-w", shop, *PLAN), 3, "no service", "services.yaml")


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def test_names_of_any_kind_go_through_files_and_folders(call, shop):
    calls = ", ".join(f"{{to: {_quoted(name)}}}" for name in EVIL)
    shop.put(
        "data/services.yaml",
        f"- {{name: shop, tier: core, instances: 6, slo: {{p99_ms: 300}}, entry: {{per_dau: 20}}, calls: [{calls}]}}\n"
        + "".join(f"- {{name: {_quoted(name)}, tier: core, max_qps: 9000}}\n" for name in EVIL),
    )
    times = "starts_at: 2026-03-20T20:00, ends_at: 2026-03-21T00:00"
    evil = "../../../evil <b>"
    shop.put("data/promotions.yaml", f"- {{id: {_quoted(evil)}, kind: spring, {times}}}\n")
    outside = {path for path in shop.root.parent.rglob("*") if shop.root not in path.parents}
    document = said(call("-w", shop, "plan", evil, "--json"), 0).json
    assert set(document["services"]) == {"shop", *EVIL}
    assert said(call("-w", shop, "rehearse", evil, "--fault", f"slow-downstream={EVIL[3]}", "--paths", "2"), 0).out
    assert call("-w", shop, "journal", "add", evil, "note", "\x1b[31mred\nline").code == 0
    shown = said(call("-w", shop, "journal", "show", evil), 0).out
    assert "\x1b" not in shown
    assert {path for path in shop.root.parent.rglob("*") if shop.root not in path.parents} == outside
    assert call("-w", shop, "services", EVIL[0]).code == 0


# --------------------------------------------------------------- broken plans


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('"instances": 6', '"instances": 9'), ["signature", "changed after it was written"]),
        (lambda text: text[: len(text) // 2], ["plan.json", "not JSON", "capacity plan"]),
        (lambda text: "", ["plan.json", "not JSON"]),
        (lambda text: "[]", ["plan.json", "list"]),
        (lambda text: text.replace('"zone_losses": 1', '"zone_losses": NaN'), ["zone_losses", "finite"]),
        (lambda text: _signed(text, promotion="another"), ["promotion", "'another'", "'2026-spring'"]),
        (lambda text: _signed(text, as_of="2026-02-01"), ["as_of", "2026-02-01"]),
    ],
)
def test_a_plan_that_was_tampered_with_is_not_used(call, planned, change, words):
    path = planned / HOME / "plan.json"
    changed = change(path.read_text(encoding="utf-8"))
    assert changed != path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="utf-8")
    assert said(call("-w", planned, *REHEARSE), 2, HOME, *words).out == ""
    said(call("-w", planned, "retrospective", "2026-spring"), 2, *words)


def _signed(text: str, **changes: str) -> str:
    document = json.loads(text) | changes
    return json.dumps(document | {"signature": signature(document)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), ["no such file"]),
        (lambda path: path.write_bytes(b""), ["broken file"]),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), ["broken file"]),
        (lambda path: path.write_bytes(path.read_bytes()[:-9000] + b"x" * 9000), ["broken file"]),
        (lambda path: np.savez(path, a=np.array([{}], dtype=object)), ["broken file"]),
        (lambda path: np.savez(path, a=np.arange(3)), ["another kind"]),
    ],
)
def test_samples_that_are_missing_or_broken(call, planned, change, words):
    change(planned / HOME / "samples.npz")
    said(call("-w", planned, *REHEARSE), 2, "samples.npz", "capacity plan", *words)


def test_a_catalogue_that_changed_since_the_plan(call, planned):
    path = planned / "data/services.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "- {name: new, tier: core}\n", encoding="utf-8")
    said(call("-w", planned, *REHEARSE), 2, "new", "capacity plan 2026-spring")


@pytest.mark.parametrize("fault", ["demand=-1", "demand=inf", "nope", "slow-downstream=x", "", "zone-loss=x"])
def test_faults_that_cannot_be_played(call, planned, fault):
    said(call("-w", planned, *REHEARSE, "--fault", fault), 2, "fault", "expected")


# ------------------------------------------------------------ broken machinery


def test_broken_tables_are_named_by_check_and_by_what_reads_them(call, planned):
    for part in (planned / "data/tables").rglob("*.parquet"):
        part.write_bytes(b"PAR1 junk")
    said(call("-w", planned, "check"), 2, "data/tables/daily_activity", "data/tables/traffic")
    said(call("-w", planned, *PLAN), 2, "data/tables/daily_activity", "ingest its sources again")
    for part in (planned / "data/tables").rglob("manifest.json"):
        part.write_text("{", encoding="utf-8")
    said(call("-w", planned, *PLAN), 2, "manifest.json")


def test_an_engine_that_does_not_answer(call, shop):
    toml = (shop / "capacity.toml").read_text(encoding="utf-8")
    shop.put("capacity.toml", toml + 'engine = "nope://me:secret@host/x"\n')
    answer = said(call("-w", shop, *PLAN), 2, "engine", "nope")
    assert "secret" not in answer.err
    shop.put("capacity.toml", toml + f'engine = "duckdb:///{shop}/empty.duckdb"\n')
    said(call("-w", shop, *PLAN), 2, "engine", "traffic")


def test_a_torn_last_line_of_the_journal_is_no_loss(call, shop):
    add, show = ("-w", shop, "journal", "add", "2026-spring", "note"), ("-w", shop, "journal", "show", "2026-spring")
    assert call(*add, "one").code == 0
    path = shop / "data/journal/2026-spring.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + '{"id": "torn', encoding="utf-8")
    assert [entry["text"] for entry in said(call(*show, "--json"), 0).json["entries"]] == ["one"]
    assert call(*add, "two").code == 0
    assert [entry["text"] for entry in said(call(*show, "--json"), 0).json["entries"]] == ["one", "two"]
    path.write_text(path.read_text(encoding="utf-8") + "garbage\n{}\n", encoding="utf-8")
    said(call(*show), 2, ":4", "garbage")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nte", "x"], ["did you mean 'note'?"]), (["note", "x", "--at", "soon"], ["'soon'", "ISO 8601"])],
)
def test_journal_entries_that_are_none(call, shop, arguments, words):
    said(call("-w", shop, "journal", "add", "2026-spring", *arguments), 2, *words)
    assert not (shop / "data/journal/2026-spring.jsonl").exists()


def test_a_folder_that_cannot_be_written(call, planned, monkeypatch):
    before = tables_of(planned.root)

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied", "data/plans")

    monkeypatch.setattr("capacity.document.files.tempfile.mkstemp", refuse)
    said(call("-w", planned, *PLAN), 2, "data/plans", "Permission denied", "written")
    assert tables_of(planned.root) == before


def test_what_stands_in_the_way_of_a_folder(call, shop):
    shop.put("data/plans", "a file")
    said(call("-w", shop, *PLAN), 2, "data/plans", "Next:")
    said(call("loadtest", "read", shop / "data"), 2, "run.yaml", "is not a load-test run")
    said(call("init", shop / "data/plans"), 2, "is a file")


def test_an_interrupt_leaves_the_last_plan_whole(call, planned, monkeypatch):
    before = tables_of(planned.root)

    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("capacity.flow.plan_promotion", interrupt)
    said(call("-w", planned, *PLAN), 130, "stopped")
    monkeypatch.setattr("capacity.document.files.os.fsync", interrupt)
    monkeypatch.setattr("capacity.flow.plan_promotion", decide_again(planned))
    said(call("-w", planned, *PLAN), 130, "stopped")
    assert tables_of(planned.root) == before


def decide_again(planned):
    from capacity.workspace import Workspace

    plan = Workspace(planned.root).plan("2026-spring")
    return lambda *_args, **_options: (plan, None)


def test_the_workspace_may_be_here_or_above_and_stand_before_or_after_the_verb(call, shop, monkeypatch):
    monkeypatch.chdir(shop.root)
    answers = [call(*line, "--json") for line in (("-w", ".", "check"), ("check", "-w", "."), ("check",))]
    monkeypatch.chdir(shop / "data")
    answers.append(call("check", "--json"))
    assert all(answer == answers[0] and answer.code == 0 for answer in answers)
    said(call("-w", "..", "--as-of", "soon", "check"), 2, "'soon'")
