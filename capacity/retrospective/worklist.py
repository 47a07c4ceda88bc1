"""What has to be done: the journal's actions, and those that the findings call for."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from capacity.display import format_percent, plain
from capacity.journal import Journal
from capacity.lessons import Action
from capacity.promotion import Promotion
from capacity.retrospective.findings import Finding
from capacity.retrospective.frames import rows_of

if TYPE_CHECKING:
    from capacity.catalog import Catalog

AT_ONCE, SOON = timedelta(days=1), timedelta(days=14)
_LONGEST = 200
_DUE = re.compile(r"\bdue\W{0,3}(\d{4}-\d{2}-\d{2})\b", re.IGNORECASE)
_DONE = re.compile(r"^\s*(done|closed|完成)\b", re.IGNORECASE)
_PROMPTS = {
    "not_restored": (AT_ONCE, "Restore"),
    "unresolved_incident": (AT_ONCE, "Close or hand over the incident"),
    "freeze_violation": (SOON, "Explain, and except or revert"),
    "exception_afterwards": (SOON, "Settle who may except a change beforehand"),
    "limit_not_in_force": (SOON, "Bring the planned limit into force"),
    "failed_drill": (SOON, "Repeat the drill until it passes"),
    "drill_without_outcome": (SOON, "Write down how the drill went"),
    "degraded_late": (SOON, "Find why the switch was late"),
    "restored_late": (SOON, "Find why it was restored late"),
    "not_switched": (SOON, "Find whether the step was needed"),
}


def journal_actions(journal: Journal) -> tuple[Action, ...]:
    """Return the actions that people wrote down.

    Owner is ``who``. A day after the word ``due`` in the text is when; a later entry whose ``ref`` is the action's id
    and whose text begins with ``done`` closes it.

    Examples
    --------
    >>> from capacity.journal import new_entry
    >>> todo = new_entry("action", "raise db limit, due 2026-11-20", who="dba", at="2026-11-11T02:00Z", timezone="UTC")
    >>> journal_actions(Journal((todo,)))[0].due
    datetime.date(2026, 11, 20)
    """
    done = {entry.ref for entry in journal if entry.ref and _DONE.match(entry.text)}
    return tuple(
        Action(
            text=_text(entry.text or f"action {entry.id}"),
            owner=entry.who or "",
            due=_due(entry.text),
            status="done" if entry.id in done else "open",
        )
        for entry in journal.of_kind("action")
    )


def propose_actions(
    findings: Sequence[Finding],
    capacity: pd.DataFrame,
    services: pd.DataFrame,
    promotion: Promotion,
    catalog: "Catalog | None",
    *,
    entries: Sequence[str],
) -> tuple[Action, ...]:
    """Return the actions that findings, broken SLOs, and missed peaks call for, the most pressing first.

    Of missed peaks only those of the entries: what lies behind them follows them.
    """
    last = promotion.dates[-1]
    found = [
        Action(
            text=_text(f"{_PROMPTS[one.kind][1]}: {one.says}"),
            owner=one.owner or _owner(one.service, catalog),
            due=last + _PROMPTS[one.kind][0],
        )
        for one in findings
        if one.kind in _PROMPTS
    ]
    alerts = [one for one in findings if one.kind == "alert_without_runbook"]
    if alerts:
        named = sorted({one.service for one in alerts if one.service})
        whose = f" ({', '.join(named)})" if named else ""
        text = f"Write runbooks for {len(alerts)} alerts that name none{whose}"
        found.append(Action(text=_text(text), due=last + SOON))
    above = services[(services["actual"] > services["forecast_q95"]) & services["service"].isin(entries)]
    return (*sorted(found, key=lambda action: action.due or last), *_of_services(capacity, above, last, catalog))


def actions_frame(actions: Mapping[str, Sequence[Action]]) -> pd.DataFrame:
    """Return one row an action: ``text, owner, due, status, source``."""
    rows = [
        (action.text, action.owner, action.due, action.status, source)
        for source, some in actions.items()
        for action in some
    ]
    return pd.DataFrame(rows, columns=["text", "owner", "due", "status", "source"])


def _of_services(capacity: pd.DataFrame, above: pd.DataFrame, last: date, catalog: "Catalog | None") -> list[Action]:
    found = []
    for row in rows_of(capacity):
        name = str(row["service"])
        owner = _owner(name, catalog)
        if row["slo_minutes_broken"] > 0:
            text = f"{name}: outside its SLO for {row['slo_minutes_broken']:.0f} min; find why, then load-test again"
            found.append(Action(text=_text(text), owner=owner, due=last + SOON))
        if row["peak_of_used_capacity"] > 1.0:
            share = format_percent(row["peak_of_used_capacity"])
            text = f"{name}: its peak was {share} of the capacity the plan believed in; load-test again"
            found.append(Action(text=_text(text), owner=owner, due=last + SOON))
        if row["wrongly_rejected"] > 0:
            count = f"{row['wrongly_rejected']:.0f}"
            text = f"{name}: {count} requests were turned away below its safe capacity; check its limits"
            found.append(Action(text=_text(text), owner=owner, due=last + SOON))
    for name in sorted(above["service"].unique()):
        phases = ", ".join(above.loc[above["service"] == name, "phase"])
        text = f"{name}: its peak lay above the 90 % band ({phases}); see the split of the miss"
        found.append(Action(text=_text(text), owner=_owner(str(name), catalog), due=last + SOON))
    return found


def _owner(service: str, catalog: "Catalog | None") -> str:
    return catalog[service].owner if catalog is not None and service in catalog else ""


def _due(text: str) -> date | None:
    found = _DUE.search(text)
    try:
        return date.fromisoformat(found.group(1)) if found else None
    except ValueError:
        return None


def _text(text: str) -> str:
    one_line = plain(text)
    return one_line if len(one_line) <= _LONGEST else f"{one_line[: _LONGEST - 1]}…"
