"""Drills as experiments of Chaos Toolkit: safe as they are, each says what it would do until it is told how.

Read from Chaos Toolkit's documentation, "The Chaos Toolkit Experiment Format".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from capacity.display.escape import plain
from capacity.export.source import Export, Source
from capacity.export.words import dns_name, to_json

_NOTHING = "true"  # a command that does nothing, and succeeds


@dataclass(frozen=True)
class Drill:
    """One failure to try.

    Attributes
    ----------
    name, title
        Of the file; for people.
    service
        Whose health is looked at.
    does, undoes
        What breaks it and what mends it, in words; the commands are the company's.
    expects
        What should be seen.
    """

    name: str
    title: str
    service: str
    does: str
    undoes: str
    expects: str


def export_chaostoolkit(source: Source) -> Export:
    """Make an experiment a failure that the plan bears, a third party, and a rung of the ladder."""
    files = {f"drill-{drill.name}.json": to_json(_experiment(source, drill)) for drill in _drills(source)}
    return Export(
        "chaostoolkit", files,
        next_steps=(
            "chaos validate FILE",
            "CAPACITY_HEALTH_URL=http://… CAPACITY_BREAK=COMMAND CAPACITY_MEND=COMMAND chaos run FILE",
            f"CAPACITY_JOURNAL writes it down: capacity journal add {quote(source.promotion.id)} drill 'NAME: …'",
            "NAME is the drill's in operations.yaml, so that readiness knows that it was held",
        ),
        warnings=("without CAPACITY_BREAK and CAPACITY_MEND a drill breaks nothing: it only looks at the health",),
    )  # fmt: skip


def _drills(source: Source) -> Iterator[Drill]:
    losses = int(source.document["risk"]["zone_losses"])
    entries = [name for name in source.document["services"] if source.services[name].tier == "core"]
    if losses and entries:
        yield Drill(
            "zone-loss", f"{losses} zone goes", entries[0], f"takes {losses} zone out of every core service",
            "puts it back", "no core service leaves its objective",
        )  # fmt: skip
    for name, planned in source.document["services"].items():
        if source.services[name].third_party:
            yield Drill(
                f"third-party-{dns_name(name)}", f"{plain(name)} is down", name, f"lets calls of {plain(name)} fail",
                "lets them through again", "its callers answer with their fallback, or say that they cannot",
            )  # fmt: skip
        cold = planned.get("cold_caches")
        if cold:
            yield Drill(
                f"cold-cache-{dns_name(name)}", f"the cache before {plain(name)} is empty", name,
                f"empties caches before {plain(name)}", "nothing: they fill by themselves", "it stays within its limit",
            )  # fmt: skip
    for rung in source.document["degradation"]:
        feature = plain(rung["feature"])
        yield Drill(
            f"rung-{rung['order']}", f"{feature} is switched off and back", rung["service"],
            f"switches {plain(rung.get('switch') or feature)} on", "switches it off again",
            f"calls fall as planned, and are back afterwards: {plain(rung['recovery'])}",
        )  # fmt: skip


def _experiment(source: Source, drill: Drill) -> dict[str, Any]:
    health = {
        "type": "probe",
        "name": "healthy",
        "tolerance": 200,
        "provider": {"type": "http", "url": "${health_url}", "timeout": 3},
    }
    return {
        "version": "1.0.0",
        "title": f"{source.promotion.id}: {drill.title}",
        "description": f"{drill.does}; expected: {drill.expects}. {' '.join(source.header())}",
        "tags": ["capacity", source.promotion.id],
        "configuration": {
            "health_url": _variable("CAPACITY_HEALTH_URL", "http://127.0.0.1:8080/healthz"),
            "break_command": _variable("CAPACITY_BREAK", _NOTHING),
            "mend_command": _variable("CAPACITY_MEND", _NOTHING),
            "wait_s": _variable("CAPACITY_WAIT_S", "1"),
            "journal_command": _variable("CAPACITY_JOURNAL", _NOTHING),
        },
        "contributions": {"reliability": "high", "service": plain(drill.service)},
        "steady-state-hypothesis": {"title": f"{plain(drill.service)} answers", "probes": [health]},
        "method": [
            _command("break", "sh", drill.does, "-c", "${break_command}"),
            {"type": "probe", "name": "while it is broken", "provider": health["provider"]},
            _command("wait", "sleep", "long enough to see it", "${wait_s}"),
            _command("write down", "sh", "that it was practised", "-c", "${journal_command}"),
        ],
        "rollbacks": [_command("mend", "sh", drill.undoes, "-c", "${mend_command}")],
    }


def _variable(key: str, default: str) -> Mapping[str, str]:
    return {"type": "env", "key": key, "default": default}


def _command(name: str, path: str, says: str, *arguments: str) -> dict[str, Any]:
    provider: dict[str, Any] = {"type": "process", "path": path, "timeout": 600}
    if arguments:
        provider["arguments"] = list(arguments)
    return {"type": "action", "name": f"{name}: {says}"[:200], "provider": provider}
