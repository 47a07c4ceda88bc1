"""The smaller targets, each by its real consumer where one runs here, else by its documented semantics."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from capacity.errors import NotCoveredError, UsageError
from capacity.export import TARGETS, Source, make_export
from capacity.export.icalendar import find_events
from capacity.operations import parse_operations
from tests.export.sources import HOSTILE, hostile_source, with_document
from tests.export.traffic import backend
from tests.real_programs import openmetrics, real_package, real_program, running_prometheus

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("which", ["sample", "hostile"])
def test_every_target_is_the_same_again_and_signed(sample_source: Source, target: str, which: str) -> None:
    source = sample_source if which == "sample" else hostile_source(sample_source)
    first, again = make_export(source, target), make_export(source, target)
    assert dict(first.files) == dict(again.files)
    assert first.files
    signed = [source.signature in text.replace("\r\n ", "") for text in first.files.values()]
    assert any(signed) if target == "sentinel" else all(signed)
    assert first.plan["signature"] == source.signature
    for name, text in first.files.items():
        assert Path(name).name == name
        assert len(name.encode()) < 200
        if name.endswith(".json"):
            json.loads(text)
        if name.endswith((".yaml", ".yml")):
            assert list(yaml.safe_load_all(text))
    assert target in first.summary()


def test_an_unknown_target_is_said(sample_source: Source) -> None:
    with pytest.raises(UsageError, match="did you mean 'nginx'"):
        make_export(sample_source, "ngnix")


# ------------------------------------------------------------------ flagd


@pytest.fixture
def planned_rung(sample_source: Source) -> Source:
    rung = dict(sample_source.document["degradation"][0])
    rung |= {"planned": True, "on_at": "2026-11-10T19:59:00+08:00", "off_at": "2026-11-10T22:00:00+08:00"}
    return with_document(sample_source, degradation=[rung, *sample_source.document["degradation"][1:]])


def test_flagd_switches_in_the_window_and_by_hand(planned_rung: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    core = real_package("openfeature.contrib.tools.flagd.core")
    from openfeature.evaluation_context import EvaluationContext

    resolver = core.FlagdCore()
    resolver.set_flags(make_export(planned_rung, "flagd").files["flags.json"])
    rungs = planned_rung.document["degradation"]

    def off(key: str, at: str, **context: str) -> bool:
        moment = datetime.fromisoformat(at).timestamp()
        monkeypatch.setattr(time, "time", lambda: moment)
        return bool(
            resolver.resolve_boolean_value(key, default_value=False, ctx=EvaluationContext(attributes=context)).value
        )

    planned = rungs[0]["switch"]
    assert not off(planned, "2026-11-10T19:58:59+08:00")
    assert off(planned, "2026-11-10T19:59:00+08:00")
    assert off(planned, "2026-11-10T21:59:59+08:00")
    assert not off(planned, "2026-11-10T22:00:00+08:00")
    assert not off(planned, "2027-11-10T20:30:00+08:00"), "next year's evening is not this one"
    assert off(planned, "2026-11-12T12:00:00+08:00", capacity_override="on")
    assert not off(planned, "2026-11-10T20:30:00+08:00", capacity_override="off")
    for rung in rungs[1:]:
        assert not off(rung["switch"], "2026-11-10T20:30:00+08:00")


# ----------------------------------------------------------- alertmanager


@pytest.mark.parametrize("which", ["sample", "hostile"])
def test_amtool_takes_the_routes(sample_source: Source, tmp_path: Path, which: str) -> None:
    amtool = real_program("amtool")
    source = sample_source if which == "sample" else hostile_source(sample_source)
    file = tmp_path / "alertmanager.yml"
    file.write_text(make_export(source, "alertmanager").files["alertmanager.yml"], encoding="utf-8")
    checked = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    if which == "sample":
        for labels, receivers in {
            ("alertname=CapacityLimitReached", "severity=page", "owner=trade-team"): "war-room,owner-trade-team",
            ("alertname=CapacityLimitAhead", "severity=watch", "owner=trade-team"): "watch",
            ("alertname=Other", "severity=page"): "watch",
        }.items():
            command = [amtool, "config", "routes", "test", f"--config.file={file}", *labels]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            assert done.stdout.strip() == receivers, labels


def test_intervals_cover_the_promotion_to_the_minute(sample_source: Source) -> None:
    document = yaml.safe_load(make_export(sample_source, "alertmanager").files["alertmanager.yml"])
    interval = next(one for one in document["time_intervals"] if one["name"] == "promotion")["time_intervals"]
    phases = sample_source.promotion.phases
    moment = phases[0].starts_at - timedelta(days=1)
    while moment < phases[-1].ends_at + timedelta(days=1):
        inside = phases[0].starts_at <= moment < phases[-1].ends_at
        assert any(_holds(one, moment) for one in interval) == inside, moment
        assert not any(_holds(one, moment.replace(year=2027)) for one in interval)
        moment += timedelta(minutes=17)


def _holds(interval: dict[str, Any], moment: datetime) -> bool:
    local = moment.astimezone(ZoneInfo(interval["location"]))
    day = (str(local.year), str(local.month), str(local.day))
    if day != (interval["years"][0], interval["months"][0], interval["days_of_month"][0]):
        return False
    clock = f"{local:%H:%M}"
    return any(span["start_time"] <= clock < span["end_time"] for span in interval["times"])


# ----------------------------------------------------------------- freeze


def test_the_freeze_expands_to_one_window_this_year(sample_source: Source) -> None:
    croniter = real_package("croniter").croniter
    made = make_export(sample_source, "freeze")
    freeze = sample_source.promotion.freeze
    assert freeze is not None
    gitlab = json.loads(made.files["gitlab-freeze-periods.json"])
    argo = yaml.safe_load(made.files["argocd-appproject.yaml"])["spec"]["syncWindows"]
    new_year = datetime(2026, 1, 1, tzinfo=ZONE) - timedelta(seconds=1)

    def starts(line: str) -> list[datetime]:
        found = croniter(line, new_year)
        moments = [found.get_next(datetime) for _ in range(2)]
        return [one for one in moments if one.year == 2026]

    assert len(gitlab["freeze_periods"]) == len(argo) == 1
    period = gitlab["freeze_periods"][0]
    assert starts(period["freeze_start"]) == [freeze.starts_at]
    assert starts(period["freeze_end"]) == [freeze.ends_at]
    assert period["cron_timezone"] == argo[0]["timeZone"] == "Asia/Shanghai"
    assert starts(argo[0]["schedule"]) == [freeze.starts_at]
    hours, _, minutes = argo[0]["duration"].partition("h")
    length = timedelta(hours=int(hours), minutes=int(minutes.rstrip("m") or 0))
    assert freeze.starts_at + length == freeze.ends_at
    assert gitlab["delete_after"] == freeze.ends_at.isoformat()


def test_without_a_freeze_there_is_none(sample_source: Source) -> None:
    from dataclasses import replace

    bare = replace(sample_source, promotion=sample_source.promotion.model_copy(update={"freeze": None}))
    with pytest.raises(NotCoveredError, match="has no freeze"):
        make_export(bare, "freeze")


# --------------------------------------------------------------- calendar


@pytest.mark.parametrize("which", ["sample", "hostile"])
def test_a_calendar_program_reads_what_was_written(sample_source: Source, which: str) -> None:
    from icalendar import Calendar

    source = sample_source if which == "sample" else hostile_source(sample_source)
    text = make_export(source, "icalendar").files["promotion.ics"]
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    calendar = Calendar.from_ical(text)
    read = {
        (str(one["summary"]), one["dtstart"].dt.timestamp(), one.get("dtend", one["dtstart"]).dt.timestamp())
        for one in calendar.walk("VEVENT")
    }
    meant = {(one.name, one.starts_at.timestamp(), one.ends_at.timestamp()) for one in find_events(source)}
    assert read == meant
    identities = [str(one["uid"]) for one in calendar.walk("VEVENT")]
    assert len(set(identities)) == len(identities)
    assert str(calendar["x-capacity-plan-signature"]) == source.signature


BOOK = """
roster:
  - {person: ann, role: lead, starts_at: 2026-11-10T08:00, ends_at: 2026-11-10T20:00}
  - {person: ann, role: lead, starts_at: 2026-11-10T08:00, ends_at: 2026-11-10T22:00}
meetings: [{name: weekly, weekday: tuesday, at: "10:00", first: 2026-10-22, last: 2026-11-10}]
war_room: {place: room 301, opens_at: 2026-11-10T18:00, closes_at: 2026-11-12T01:00}
drills: [{name: zone, failure: zone-loss, due: 2026-10-30}]
"""


def test_an_event_that_moves_stays_the_same_and_one_without_length_has_no_end(sample_source: Source) -> None:
    from icalendar import Calendar

    def events(source: Source) -> dict[str, dict[str, Any]]:
        text = make_export(source, "icalendar").files["promotion.ics"]
        return {str(one["uid"]): one for one in Calendar.from_ical(text).walk("VEVENT")}

    late = timedelta(minutes=30)
    book = parse_operations(BOOK, timezone="Asia/Shanghai")
    roster = [one.model_copy(update={"ends_at": one.ends_at + late}) for one in book.roster]
    drills = [one.model_copy(update={"due": one.due + timedelta(days=1)}) for one in book.drills]
    at = "2026-11-07T20:00:00+08:00"
    step = {"start_at": at, "ready_by": at, "instances": 99}
    checkout = {**sample_source.document["services"]["checkout"], "scale_schedule": [step]}
    services = {**sample_source.document["services"], "checkout": checkout}
    before = events(with_document(replace(sample_source, operations=book), services=services))
    moved = replace(sample_source, operations=book.model_copy(update={"roster": roster, "drills": drills}))
    after = events(with_document(moved, services=services))
    assert set(before) == set(after)
    changed = {str(before[uid]["summary"]).split(":")[0] for uid in before if before[uid] != after[uid]}
    assert changed == {"On duty", "Drill"}
    said = [f"{one['summary']} {one['dtstart'].dt.isoformat()}" for one in before.values()]
    for meets in ("2026-10-27", "2026-11-03", "2026-11-10"):
        assert said.count(f"weekly {meets}T10:00:00+08:00") == 1
    assert sum(one.startswith("weekly ") for one in said) == 3
    assert said.count("On duty: ann, lead 2026-11-10T08:00:00+08:00") == 2  # booked twice: two events all the same
    assert "War room: room 301 2026-11-10T18:00:00+08:00" in said
    (scale,) = [one for one in after.values() if one["summary"] == "Scale checkout to 99"]
    assert "dtend" not in scale


# ----------------------------------------------------------------- drills


@pytest.mark.parametrize("which", ["sample", "hostile"])
def test_drills_are_experiments(sample_source: Source, tmp_path: Path, which: str) -> None:
    real_package("chaoslib")
    from chaoslib.experiment import ensure_experiment_is_valid

    source = sample_source if which == "sample" else hostile_source(sample_source)
    for text in make_export(source, "chaostoolkit").files.values():
        ensure_experiment_is_valid(json.loads(text))


def test_a_drill_runs_and_does_nothing_it_was_not_told(sample_source: Source, tmp_path: Path) -> None:
    real_package("chaoslib")
    chaos = Path(sys.executable).parent / "chaos"
    files = make_export(sample_source, "chaostoolkit").files
    file = tmp_path / "drill.json"
    file.write_text(files["drill-zone-loss.json"])
    broken = tmp_path / "broken"
    written = tmp_path / "written"
    for env in (
        {},
        {
            "CAPACITY_JOURNAL": f"touch {written}",
            "CAPACITY_BREAK": str(tmp_path / "break"),
            "CAPACITY_MEND": str(tmp_path / "mend"),
        },
    ):
        for name, verb in (("break", f"touch {broken}"), ("mend", f"mv {broken} {broken}.mended")):
            (tmp_path / name).write_text(f"#!/bin/sh\n{verb}\n")
            (tmp_path / name).chmod(0o755)
        with backend() as one:
            health = {
                "CAPACITY_HEALTH_URL": f"http://127.0.0.1:{one.port}/healthz",
                "CAPACITY_WAIT_S": "0",
                "PATH": "/usr/bin:/bin",
            }
            command = [str(chaos), "--no-version-check", "run", "--rollback-strategy=always", str(file)]
            done = subprocess.run(command, cwd=tmp_path, env=health | env, capture_output=True, text=True, timeout=90)
        journal = json.loads((tmp_path / "journal.json").read_text())
        assert journal["status"] == "completed", done.stderr[-2000:]
        assert (tmp_path / "broken.mended").exists() == written.exists() == bool(env)


# ---------------------------------------------------------------- grafana


@pytest.fixture(scope="module")
def loaded(sample_source: Source, sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from capacity.workspace import Workspace

    folder = tmp_path_factory.mktemp("grafana")
    start = sample_source.promotion.starts_at
    rows = Workspace(sample_dir).traffic().window(start, start + timedelta(minutes=20))
    rules = make_export(sample_source, "prometheus").files["capacity_rules.yml"]
    with running_prometheus(folder, metrics=openmetrics(rows), rules=rules) as url:
        yield url


@pytest.mark.parametrize("which", ["sample", "hostile"])
def test_every_panel_asks_what_prometheus_understands(sample_source: Source, loaded: str, which: str) -> None:
    from capacity.history.prometheus import Prometheus

    source = sample_source if which == "sample" else hostile_source(sample_source)
    server = Prometheus(loaded)
    at_s = (source.promotion.starts_at + timedelta(minutes=10)).timestamp()
    files = make_export(source, "grafana").files
    assert len(files) == 8
    asked = 0
    for text in files.values():
        dashboard = json.loads(text)
        assert dashboard["panels"]
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                server.query(target["expr"].replace("$service", ".*"), at_s=at_s)
                asked += 1
    assert asked >= 30
    assert len({json.loads(text)["uid"] for text in files.values()}) == 8


# ---------------------------------------------------------------- openslo


def test_objectives_ask_what_prometheus_understands(sample_source: Source, loaded: str) -> None:
    from capacity.history.prometheus import Prometheus

    text = make_export(sample_source, "openslo").files["objectives.yaml"]
    documents = list(yaml.safe_load_all(text))
    services = {one["metadata"]["name"] for one in documents if one["kind"] == "Service"}
    server = Prometheus(loaded)
    at_s = (sample_source.promotion.starts_at + timedelta(minutes=10)).timestamp()
    objectives = [one for one in documents if one["kind"] == "SLO"]
    assert objectives
    for one in objectives:
        assert one["apiVersion"] == "openslo/v1"
        assert one["spec"]["service"] in services
        assert 0 < one["spec"]["objectives"][0]["target"] < 1
        ratio = one["spec"]["indicator"]["spec"]["ratioMetric"]
        assert len({"good", "bad"} & set(ratio)) == 1
        for key in {"good", "bad", "total"} & set(ratio):
            found = server.query(ratio[key]["metricSource"]["spec"]["query"], at_s=at_s)
            assert "latency" not in key
            assert len(found) <= 1


# --------------------------------------------------------------- sentinel


def admitted(rule: dict[str, Any], at_s: np.ndarray) -> int:
    """Count what Sentinel's documented window lets through: two halves of a second, reject at once."""
    passed: list[float] = []
    for moment in at_s:
        half = np.floor(moment * 2) / 2
        inside = sum(1 for one in passed if one >= half - 0.5)
        if inside + 1 <= rule["count"]:
            passed.append(float(moment))
    return len(passed)


def test_sentinels_rules_admit_the_limit(sample_source: Source) -> None:
    files = make_export(sample_source, "sentinel").files
    flow = json.loads(files["flow-rules.json"])
    fields = {"resource", "limitApp", "grade", "count", "strategy", "controlBehavior", "clusterMode"}
    assert all(set(rule) == fields and rule["controlBehavior"] == 0 for rule in flow)
    cluster = json.loads(files["cluster-flow-rules.json"])
    assert len({rule["clusterConfig"]["flowId"] for rule in cluster}) == len(cluster)
    planned = sample_source.document["services"]
    for rule in cluster:
        assert 0 <= planned[rule["resource"]]["cluster_limit_qps"] - rule["count"] < 0.001
    rule = next(one for one in flow if one["resource"] == "home" and one["limitApp"] == "default")
    at_s = np.sort(np.random.default_rng(1).uniform(0, 10, int(20 * rule["count"])))
    assert admitted(rule, at_s) / 10 == pytest.approx(rule["count"], rel=0.12)
    for rule in json.loads(files["degrade-rules.json"]):
        assert rule["grade"] in (0, 1)
        assert rule["count"] > 0


def test_sentinel_says_what_its_server_and_its_seconds_cannot(sample_source: Source) -> None:
    planned = sample_source.document["services"]
    small = {
        name: one | {"instance_limit_qps": 0.4, "peak_qps": one["peak_qps"] | {"q95": 1.0}}
        for name, one in planned.items()
    }
    said = " ".join(make_export(with_document(sample_source, services=small), "sentinel").warnings)
    assert "home from default: 0.4 a second lets nothing through" in said
    assert "maxAllowedQps" not in said
    large = {name: one | {"peak_qps": one["peak_qps"] | {"q95": 40_000.0}} for name, one in planned.items()}
    assert "maxAllowedQps" in " ".join(make_export(with_document(sample_source, services=large), "sentinel").warnings)


# -------------------------------------------------------------- backstage


def test_entities_depend_on_what_exists(sample_source: Source) -> None:
    text = make_export(sample_source, "backstage").files["catalog-info.yaml"]
    entities = [one for one in yaml.safe_load_all(text) if one["kind"] != "Group"]
    known = {f"{one['kind'].lower()}:{one['metadata']['name']}" for one in entities}
    assert len(known) == len(sample_source.document["services"])
    calls = {(one.name, call.to) for one in sample_source.services.values() for call in one.calls}
    wanted = sum(len(one["spec"]["dependsOn"]) for one in entities)
    assert wanted == len(calls)
    assert all(set(one["spec"]["dependsOn"]) <= known for one in entities)


def test_hostile_names_reach_no_file_name(sample_source: Source) -> None:
    hostile = hostile_source(sample_source)
    for target in TARGETS:
        for name in make_export(hostile, target).files:
            assert not any(bad in name for bad in ("..", "/", "\n", "<", " ", '"')), HOSTILE
