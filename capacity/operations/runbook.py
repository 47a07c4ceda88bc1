"""What to do when it breaks: a runbook for each critical path and each third party, from graph, limits and ladder."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capacity.catalog import Catalog
from capacity.display.escape import plain, safe_slug
from capacity.display.numbers import format_number
from capacity.operations.book import Operations

FOLDER = "data/runbooks"


@dataclass(frozen=True)
class Runbook:
    """One runbook as generated.

    Attributes
    ----------
    file
        Its name in the folder; safe as it is.
    title
        In words, harmless in Markdown.
    blocks
        Text by name of a part, in order.
    """

    file: str
    title: str
    blocks: Mapping[str, str]


def runbook_files(services: Catalog) -> dict[str, str]:
    """Return which runbook a service's trouble opens, relative to the workspace.

    A third party has its own; a service on a critical path has the path's; any other has its own.
    """
    return {name: f"{FOLDER}/{_file_of(name, services)}" for name in services.names}


def _file_of(name: str, services: Catalog) -> str:
    service = services[name]
    if service.third_party:
        return f"third-party-{safe_slug(name)}.md"
    if service.critical_paths:
        return f"path-{safe_slug(service.critical_paths[0])}.md"
    return f"service-{safe_slug(name)}.md"


def make_runbooks(
    plan: Mapping[str, Any], services: Catalog, operations: Operations, *, contacts: Mapping[str, str] | None = None
) -> tuple[Runbook, ...]:
    """Write a runbook for each critical path, third party, and service outside of all paths.

    Parameters
    ----------
    plan
        Content of ``plan.json``.
    services, operations
        Words.
    contacts
        Whom to call at a third party, by its name.
    """
    groups: dict[str, list[str]] = {}
    for name in services.names:
        if name in plan["services"]:
            for path in services[name].critical_paths:
                groups.setdefault(f"path-{safe_slug(path)}.md", []).append(name)
            own = _file_of(name, services)
            if name not in groups.get(own, []):
                groups.setdefault(own, []).append(name)
    return tuple(_runbook(file, names, plan, services, operations, contacts or {}) for file, names in groups.items())


def _runbook(
    file: str,
    names: list[str],
    plan: Mapping[str, Any],
    services: Catalog,
    operations: Operations,
    contacts: Mapping[str, str],
) -> Runbook:
    first = services[names[0]]
    shared = [path for path in first.critical_paths if file == f"path-{safe_slug(path)}.md"]
    title = f"Critical path {shared[0]}" if shared else (f"Third party {names[0]}" if first.third_party else names[0])
    blocks = {
        "trigger": _lines(_trigger(names, plan, services)),
        "dashboards": _lines(_dashboards(names, plan)),
        "first five minutes": _lines(_first_minutes(names, plan, services, contacts), ordered=True),
        "switches": _lines(_switches(names, plan)),
        "escalation": _lines(_escalation(names, services, operations)),
        "recovery": _lines(_recovery(names, plan)),
    }
    return Runbook(file, _name(title), blocks)


def _trigger(names: list[str], plan: Mapping[str, Any], services: Catalog) -> Iterator[str]:
    for name in names:
        planned, slo = plan["services"][name], services[name].slo
        limit = planned.get("cluster_limit_qps")
        promised = [f"p99 above {slo.p99_ms:g} ms"] if slo.p99_ms else []
        promised += [f"more than {slo.error_fraction:.2%} errors"] if slo.error_fraction else []
        near = [f"more than {format_number(0.9 * limit)}/s (limit {format_number(limit)}/s)"] if limit else []
        yield f"{_name(name)}: {', '.join([*near, *promised]) or 'no limit and no objective are known'}"


def _dashboards(names: list[str], plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"Core services' health and Rate limits, service {', '.join(_name(name) for name in names[:6])}"
    yield "Full-link tracing, for which call is slow; Gateways, for what comes from outside"
    yield f"`capacity track {_argument(plan)}`: the peak still to come, and which limit is near"


def _first_minutes(
    names: list[str], plan: Mapping[str, Any], services: Catalog, contacts: Mapping[str, str]
) -> Iterator[str]:
    yield f'Write it down: `capacity journal add {_argument(plan)} incident_start "…" --service SERVICE`'
    needed = list(dict.fromkeys(call.to for name in names for call in services[name].calls if call.is_required))
    outside = [name for name in needed if name not in names and name in plan["services"]]
    if outside:
        yield f"Look first at what it needs: {', '.join(_name(name) for name in outside)}"
    for name in names:
        planned, service = plan["services"][name], services[name]
        if service.third_party:
            promised = f"It promised {format_number(service.max_qps)}/s" if service.max_qps else "**No SLA is known**"
            whom = f"call {_name(contacts[name])}" if contacts.get(name) else "**whom to call is not written down**"
            yield f"Is {_name(name)} answering? {promised}; {whom}"
        elif service.is_fixed:
            yield f"{_name(name)} does not scale: lower what comes, by the switches below and its callers' limits"
        elif planned.get("instances"):
            left = planned.get("surviving_instances") or planned["instances"]
            yield (
                f"{_name(name)}: {planned['instances']} instances are planned, {left} suffice when a zone is lost; "
                "fewer: scale out (an emergency scaling, see operations.yaml)"
            )
    yield "Is a limit turning requests away? That protects what is behind it: do not raise a limit above the plan's"
    yield "If it does not get better in five minutes: pull the next switch below, and escalate"


def _switches(names: list[str], plan: Mapping[str, Any]) -> Iterator[str]:
    rungs = [
        rung
        for rung in plan["degradation"]
        if rung["service"] in names or any(freed["service"] in names for freed in rung.get("frees") or [])
    ]
    for rung in rungs:
        frees = ", ".join(
            f"{_name(freed['service'])} by {format_number(freed['qps'])}/s" for freed in rung.get("frees") or []
        )
        takes = rung.get("takes_s")
        yield (
            f"Rung {rung['order']}: {_code(rung.get('switch') or rung['feature'])} takes {_name(rung['feature'])} off"
            + (f", frees {frees}" if frees else "") + (f", works after {takes:g} s" if takes else "")
            + (f"; owner {_name(rung['owner'])}" if rung.get("owner") else "")
        )  # fmt: skip
    if not rungs:
        yield "No feature that could be switched off frees it: only limits and instances help"


def _escalation(names: list[str], services: Catalog, operations: Operations) -> Iterator[str]:
    for name in names:
        yield f"{_name(name)}: {_name(services[name].owner) if services[name].owner else 'nobody owns it'}"
    for step in operations.escalation:
        contact = f" ({_name(step.contact)})" if step.contact else ""
        yield f"after {step.after_min:g} min: {_name(step.who)}{contact}"
    parties = {party.name: party for party in operations.third_parties}
    for name in names:
        if services[name].third_party:
            party = parties.get(name)
            flood, fallback = (party.flood_control, party.fallback) if party else ("", "")
            yield f"flood control toward {_name(name)}: {_name(flood) if flood else '**none is written down**'}"
            yield f"fallback without {_name(name)}: {_name(fallback) if fallback else '**none is written down**'}"


def _recovery(names: list[str], plan: Mapping[str, Any]) -> Iterator[str]:
    yield "Requests are back under nine tenths of every limit above for ten minutes, and nothing waits in a queue"
    for rung in plan["degradation"]:
        if rung["service"] in names:
            yield f"Rung {rung['order']}: {_name(rung['recovery'])}"
    resolved = f'capacity journal add {_argument(plan)} resolved "…" --ref INCIDENT'
    yield f"Write it down: `{resolved}`, and each switch that is back"


def _lines(lines: Iterator[str] | Sequence[str], *, ordered: bool = False) -> str:
    return "\n".join(f"{f'{number}.' if ordered else '-'} {line}" for number, line in enumerate(lines, start=1))


def _name(text: str) -> str:
    r"""Make text of any origin harmless in Markdown, on one line.

    Examples
    --------
    >>> _name("a*b <script> [x](y)")
    'a\\*b &lt;script&gt; \\[x\\](y)'
    """
    one = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*{}[]#|!~" else c for c in one)


def _argument(plan: Mapping[str, Any]) -> str:
    """Return the promotion's id as a command line has it, harmless in Markdown's code."""
    return _code(shlex.quote(plain(str(plan["promotion"]))))


def _code(text: str) -> str:
    """Write a switch as code, where nothing in it could be anything else."""
    return f"`{text}`" if re.fullmatch(r"[\w.:/@-]+", text) else _name(text)
