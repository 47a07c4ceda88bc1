"""A proposal for services.yaml from what was measured: names, instances, calls; what a person must decide is said."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from capacity.history.traffic import Traffic

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# Words that YAML would read as something else than text.
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_HEAD = """\
# Proposed from measured traffic and calls: every line is for a person to confirm.
#   tier       guessed core for all, the safe side: a plan protects core services first. Change to non_core what may
#              fail for an evening without losing orders, to degradable what may be switched off.
#   instances  what served at the end of the measured time.
#   calls      mean calls per request over the measured windows, retries left out; required: true is assumed.
#   absent     owner, zones, max_instances, instance_cost, slo, entry: docs/formats.md explains each; every default
#              that a plan uses is listed with it.
"""


def draft_services(traffic: "Traffic", calls: pd.DataFrame, *, existing: Iterable[str] | None = None) -> str:
    """Propose the file ``services.yaml`` from ingested traffic and calls.

    Parameters
    ----------
    traffic
        Gives the services and how many instances served.
    calls
        As :meth:`Store.calls` returns them.
    existing
        Names that the catalogue has already: only new ones are proposed.

    Returns
    -------
    str
        YAML, services that call others before those they call.

    Examples
    --------
    >>> from capacity.history import Traffic
    >>> ts = pd.date_range("2026-11-10", periods=3, freq="min")
    >>> traffic = Traffic.from_frame(
    ...     pd.DataFrame({"ts": ts, "service": "cart", "requests": 9, "instances": 4}), timezone="Asia/Shanghai")
    >>> calls = pd.DataFrame({"caller": ["cart"], "callee": ["stock"], "calls": [54], "per_request": [2.0]})
    >>> for line in draft_services(traffic, calls).splitlines():
    ...     if not line.lstrip().startswith("#"):
    ...         print(line)
    - name: cart
      tier: core
      instances: 4
      calls:
        - {to: stock, per_request: 2}
    - name: stock
      tier: core
    """
    known = set(existing or ())
    edges = _edges(calls)
    names = _callers_first({*traffic.services, *edges, *(to for found in edges.values() for to in found)}, edges)
    instances = _instances(traffic)
    measured = set(traffic.services)
    blocks = [
        _block(name, instances.get(name), edges.get(name, {}), measured=name in measured)
        for name in names
        if name not in known
    ]
    return _HEAD + ("".join(blocks) or "[]\n")


def _block(name: str, instances: int | None, calls: Mapping[str, float | None], *, measured: bool) -> str:
    lines = [f"- name: {_scalar(name)}"]
    if not measured:
        lines.append("  # called by others; its own traffic was not ingested")
    lines.append("  tier: core")
    if instances:
        lines.append(f"  instances: {instances}")
    if calls:
        lines.append("  calls:")
        lines += [_call(to, rate) for to, rate in calls.items()]
    return "\n".join(lines) + "\n"


def _call(to: str, rate: float | None) -> str:
    if rate is None:
        return f"    - {{to: {_scalar(to)}}}  # the caller's requests are not known: per_request is 1 until measured"
    return f"    - {{to: {_scalar(to)}, per_request: {rate:.4g}}}"


def _scalar(text: str) -> str:
    """Write any text as a YAML scalar: plain when that is safe, else quoted, unprintable characters escaped."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _edges(calls: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    edges: dict[str, dict[str, float | None]] = {}
    rates = calls["per_request"] if "per_request" in calls else pd.Series(float("nan"), index=calls.index)
    for caller, callee, rate in zip(calls["caller"], calls["callee"], rates, strict=True):
        if caller != callee:
            edges.setdefault(str(caller), {})[str(callee)] = None if pd.isna(rate) else float(rate)
    return edges


def _callers_first(names: Iterable[str], edges: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Order so that callers come before callees; where calls run in a circle, by name."""
    rest = set(names)
    ordered: list[str] = []
    called_by = {name: {caller for caller, found in edges.items() if name in found} for name in rest}
    while rest:
        free = sorted(name for name in rest if not called_by[name] & rest) or [min(rest)]
        ordered += free
        rest -= set(free)
    return ordered


def _instances(traffic: "Traffic") -> dict[str, int]:
    """Instances of each service's last day on which they are known: the median of its rows."""
    frame = traffic.instances()
    return {str(name): round(count) for name, count in zip(frame["service"], frame["instances"], strict=True)}
