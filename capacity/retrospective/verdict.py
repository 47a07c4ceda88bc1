"""The review in three sentences: was the forecast right, did it hold, what is left to do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from capacity.display import format_number, format_percent, format_qps, plain
from capacity.lessons import Action
from capacity.retrospective.attribution import ALL_ENTRIES
from capacity.retrospective.comparison import coverage
from capacity.retrospective.findings import Finding
from capacity.retrospective.frames import rows_of


def write_verdict(
    demand: pd.DataFrame,
    services: pd.DataFrame,
    decomposition: pd.DataFrame,
    capacity: pd.DataFrame,
    mean_times: pd.DataFrame,
    findings: Sequence[Finding],
    actions: Sequence[Action],
    *,
    currency: str,
    journal_kept: bool,
) -> tuple[str, str, str]:
    """Return the verdict's three sentences, each saying what cannot be judged instead of guessing it."""
    return (
        _forecast(demand, services, decomposition),
        _held(capacity, services, currency),
        _left(mean_times, findings, actions, journal_kept=journal_kept),
    )


def _forecast(demand: pd.DataFrame, services: pd.DataFrame, decomposition: pd.DataFrame) -> str:
    said = []
    own = demand[demand["in_promotion"] & demand["actual"].notna()]
    for metric in ("dau", "dat"):
        part = own[own["metric"] == metric]
        if len(part):
            said.append(_of_day(metric.upper(), rows_of(part.sort_values("actual"))[-1]))
        else:
            said.append(f"{metric.upper()} of the promotion's days is not there to be judged")
    inside, judged = coverage(services)
    if judged:
        said.append(f"{inside} of {judged} peaks (by service and phase) lay inside their 90 % band")
    else:
        said.append("no peak could be judged")
    together = decomposition[decomposition["entry"] == ALL_ENTRIES]
    if len(together):
        total = float(together["log_term"].sum())
        largest = max(rows_of(together), key=lambda row: abs(row["log_term"]))
        factor = str(largest["factor"]).replace("_", " ")
        said.append(
            f"the entries' peaks came at {np.exp(total):.2f} times the forecast's centre, most of it from {factor} "
            f"(× {largest['multiplier']:.2f})"
        )
    return _sentence("; ".join(said))


def _of_day(metric: str, row: Mapping[str, Any]) -> str:
    actual, error = row["actual"], row["error"]
    size = f"{format_number(actual)} on {row['date']}"
    if pd.isna(error):
        return f"{metric} was {size}, with no forecast to compare"
    word = "above" if error >= 0 else "below"
    text = f"{metric} was {size}, {format_percent(abs(error))} {word} the forecast's middle"
    if row["floor_because"]:
        return f"{text}, as a floor ({row['floor_because']})"
    if row["inside_band"] is not pd.NA:
        text += " and inside its 90 % band" if row["inside_band"] else " and outside its 90 % band"
    return text


def _held(capacity: pd.DataFrame, services: pd.DataFrame, currency: str) -> str:
    said = []
    closest = rows_of(capacity[capacity["peak_of_limit"].notna()].head(1))
    if closest:
        row = closest[0]
        worst = rows_of(services[services["service"] == row["service"]].sort_values("actual"))[-1]
        unit = {"second": "second", "minute": "minute (mean)", "interval": "interval (mean)"}[worst["resolution"]]
        unit = unit if row["judged_by"] == "peak" else row["judged_by"]
        beyond = "went beyond its limit" if row["peak_of_limit"] > 1.0 else "came closest to its limit"
        text = (
            f"{row['service']} {beyond}: its busiest {unit}, {format_qps(row['peak_qps'])}, was "
            f"{format_percent(row['peak_of_limit'])} of the cluster limit"
        )
        if pd.notna(row["peak_of_used_capacity"]):
            text += f" and {format_percent(row['peak_of_used_capacity'])} of what the instances serving could take"
        said.append(text)
    else:
        said.append("the plan has no limits to hold the peaks against")
    said.append(_rejections(capacity))
    broken, judged = capacity["slo_minutes_broken"].sum(), capacity["slo_minutes_judged"].sum()
    if judged > 0:
        said.append(f"SLOs were broken for {broken:.0f} of {judged:.0f} service minutes")
    wasted = capacity["wasted_cost"]
    if wasted.notna().any():
        said.append(
            f"instances above what the peaks needed cost {format_number(float(wasted.sum()))} {currency}".strip()
        )
    return _sentence("; ".join(said))


def _rejections(capacity: pd.DataFrame) -> str:
    known = capacity["rejected"].notna()
    if not known.any():
        return "whether limits turned requests away is not in the traffic"
    away = float(capacity["rejected"].sum())
    if away == 0:
        return "no request was turned away"
    top = rows_of(capacity[known].sort_values("rejected"))[-1]
    text = (
        f"{format_number(away)} requests were turned away, most at {top['service']} "
        f"({format_percent(top['rejected_fraction'])} of its own)"
    )
    judged = capacity["wrongly_rejected"].dropna()
    unsure = float(capacity["possibly_wrongly_rejected"].fillna(0.0).sum())
    if len(judged) and judged.sum() > 0:
        text += f", {format_number(float(judged.sum()))} of them wrongly, below safe capacity"
    if unsure > 0:
        text += f"; of {format_number(unsure)} it cannot be known, as their seconds are not"
    return text


def _left(
    mean_times: pd.DataFrame, findings: Sequence[Finding], actions: Sequence[Action], *, journal_kept: bool
) -> str:
    if not journal_kept:
        return _sentence(
            f"no journal was kept, so that incidents, switches and changes cannot be judged; {_open(actions)}"
        )
    measures = {row["measure"]: row for row in rows_of(mean_times)}
    n_incidents = measures["mttr"]["incidents"]
    said = [f"{n_incidents} incident{'' if n_incidents == 1 else 's'}"]
    for measure in ("mttd", "mtta", "mttr"):
        n, minutes = measures[measure]["n"], measures[measure]["minutes"]
        if n:
            said.append(f"{measure.upper()} {format_number(minutes)} min (n = {n})")
        elif n_incidents:
            said.append(f"{measure.upper()} unknown (n = 0)")
    restored = sum(one.kind == "not_restored" for one in findings)
    if restored:
        said.append(f"{restored} degradation{'' if restored == 1 else 's'} NOT restored")
    for kind, one, many in (
        ("freeze_violation", "freeze violation", "freeze violations"),
        ("failed_drill", "failed drill", "failed drills"),
        ("alert_without_runbook", "alert without runbook", "alerts without runbook"),
    ):
        count = sum(finding.kind == kind for finding in findings)
        if count:
            said.append(f"{count} {one if count == 1 else many}")
    return _sentence(f"{', '.join(said)}; {_open(actions)}")


def _open(actions: Sequence[Action]) -> str:
    still = [action for action in actions if action.status == "open"]
    ownerless = sum(not action.owner for action in still)
    text = f"{len(still)} action{'' if len(still) == 1 else 's'} open"
    return f"{text}, {ownerless} of them without an owner" if ownerless else text


def _sentence(text: str) -> str:
    text = plain(text)
    return f"{text[0].upper()}{text[1:]}." if text[0].islower() and text.split(" ")[0].isalpha() else f"{text}."
