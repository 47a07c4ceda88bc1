"""Switches of the degradation ladder for flagd: on in their planned window, at hand all evening.

Read from flagd's documentation, "Flag definitions" and "Targeting rules": ``$flagd.timestamp`` is the moment of the
evaluation, so that a window has its year. A switch that is on takes its feature away.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from capacity.export.source import Export, Source
from capacity.export.words import to_json

FILE = "flags.json"
OVERRIDE = "capacity_override"


def export_flagd(source: Source) -> Export:
    """Make one switch a feature."""
    flags: dict[str, Any] = {}
    warnings = ["a context with capacity_override set to on or off decides alone: for drills, and against a wrong plan"]
    for rung in source.document["degradation"]:
        key = rung.get("switch") or rung["feature"]
        if key in flags:
            warnings.append(f"{key} is the switch of several rungs: the first one's window holds")
            continue
        flags[key] = _flag(rung)
    metadata = {"about": " ".join(source.header()), "signature": source.signature, "promotion": source.promotion.id}
    return Export(
        "flagd", {FILE: to_json({"flags": flags, "metadata": metadata})},
        next_steps=(
            f"flagd start --uri file:{FILE}",
            "a rung that is not planned is switched by its defaultVariant, when its alert fires: on, and back to off",
        ),
        warnings=tuple(warnings),
    )  # fmt: skip


def _flag(rung: Mapping[str, Any]) -> dict[str, Any]:
    decided: list[Any] = [{"==": [{"var": OVERRIDE}, "on"]}, "on", {"==": [{"var": OVERRIDE}, "off"]}, "off"]
    if rung.get("on_at") and rung.get("off_at"):
        first, last = (round(datetime.fromisoformat(rung[key]).timestamp()) for key in ("on_at", "off_at"))
        now = {"var": "$flagd.timestamp"}
        decided += [{"and": [{">=": [now, first]}, {"<": [now, last]}]}, "on"]
    return {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        # Without a last value the rule decides nothing, and flagd takes the default.
        "targeting": {"if": [*decided, None]},
        "metadata": {
            "feature": rung["feature"],
            "service": rung["service"],
            "rung": rung["order"],
            "owner": rung.get("owner") or "",
            "trigger": rung["trigger"],
            "recovery": rung["recovery"],
            "from": f"plan.json degradation[{rung['order']}]",
        },
    }
