"""Plans to export: parts of the sample's, and one whose every name would be syntax."""

import json
from dataclasses import replace
from typing import Any

from capacity.catalog import parse_services
from capacity.export import Source
from capacity.plan import Plan
from capacity.plan.document import signature


def with_document(source: Source, **changes: Any) -> Source:
    """Return a source whose plan says something else, signed anew."""
    document = {**source.document, **changes}
    document["signature"] = signature({key: value for key, value in document.items() if key != "signature"})
    return replace(source, plan=Plan.from_document(document))


def of_services(source: Source, *names: str) -> Source:
    """Return a source with some of its services, and the rungs that watch them."""
    kept = {name: source.document["services"][name] for name in names}
    edges = [edge for edge in source.document["edges"] if edge["caller"] in kept and edge["callee"] in kept]
    rungs = [
        rung for rung in source.document["degradation"]
        if {rung["service"], rung["watch"]["service"], rung["recover"]["service"]} <= set(kept)
    ]  # fmt: skip
    return with_document(source, services=kept, edges=edges, degradation=rungs)


HOSTILE = ('a"b; return 200;', "{{ $value }}", "line\nbreak", "<script>alert(1)</script>", "双11 $uri ${x}", "x" * 190)


def hostile_source(source: Source) -> Source:
    """Return a source whose services bear names that would be syntax."""
    taken = list(source.document["services"])[: len(HOSTILE)]
    names = dict(zip(taken, HOSTILE, strict=True))
    entries = {names[name]: source.document["services"][name] for name in taken}
    words = [
        {"name": name, "tier": "core", "owner": name[:60], "slo": {"p99_ms": 300, "error_fraction": 0.01}}
        for name in entries
    ]
    rung = source.document["degradation"][0]
    first, second = HOSTILE[:2]
    hostile_rung = rung | {
        "service": first, "feature": second, "owner": first, "switch": "{{x}}",
        "watch": rung["watch"] | {"service": first}, "recover": rung["recover"] | {"service": second},
        "saves_qps": {}, "frees": [], "check": [],
    }  # fmt: skip
    edges = [{"caller": first, "callee": second, "limit_qps": 50.0, "retry_budget_qps": 1.0, "burst_requests": 5.0}]
    changed = with_document(source, services=entries, edges=edges, degradation=[hostile_rung])
    return replace(changed, services=parse_services(json.dumps(words)), approved_by="eve\n} evil {{ x }}")
