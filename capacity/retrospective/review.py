"""The verb: a plan and what happened in, a review out."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.errors import InputError, NotCoveredError
from capacity.journal import Journal
from capacity.promotion import Promotion
from capacity.retrospective.attribution import attribute_miss
from capacity.retrospective.comparison import FLOOR_SHARE, bias_table, compare_demand, compare_estimates, compare_peaks
from capacity.retrospective.findings import find, findings_frame, switched_off
from capacity.retrospective.frames import rows_of, some
from capacity.retrospective.headroom import lay_out_rows, measure_headroom
from capacity.retrospective.incidents import incident_frame, link_incidents, mean_times
from capacity.retrospective.learning import capacity_evidence, draw_lessons
from capacity.retrospective.observed import Observed, observe
from capacity.retrospective.planned import read_planned
from capacity.retrospective.result import Review
from capacity.retrospective.verdict import write_verdict
from capacity.retrospective.worklist import actions_frame, journal_actions, propose_actions

if TYPE_CHECKING:
    from capacity.catalog import Catalog
    from capacity.history import DailyActivity, Traffic
    from capacity.peaks import Peaks
    from capacity.plan import Plan


def review(plan: "Plan", traffic: "Traffic", *, daily_activity: "DailyActivity", journal: Journal) -> Review:
    """Compare a promotion's plan with what happened: what missed, why, and what it teaches.

    Parameters
    ----------
    plan
        With its samples, as loaded from the workspace.
    traffic
        What came, by service and interval. Days and phases whose logs are partly lost are taken as missing, not small.
    daily_activity
        DAU and DAT that came. Days that are not there are said to be missing.
    journal
        What people and alerts wrote down; may be empty.

    Returns
    -------
    Review
        Everything that can be judged, and in ``missing`` what cannot.

    Raises
    ------
    NotCoveredError
        If the traffic holds nothing of the promotion, or the plan came without its samples.

    Notes
    -----
    The miss of a peak is split on the log scale, around the geometric mean of the forecast's samples, so that its
    terms add up exactly; see :mod:`capacity.retrospective.decomposition`. A day or phase on which requests were turned
    away shows a floor of its demand (orders of the day; what lies behind the limit) and is judged as one.
    """
    forecast, promotion = _forecast_of(plan)
    document: Mapping[str, Any] = plan.document
    catalog: Catalog | None = plan.services
    observed = observe(traffic, promotion)
    floor_days = _floor_days(observed, catalog)
    demand = compare_demand(document, daily_activity, promotion, floor_days)
    services = compare_peaks(observed, forecast, catalog, switched_off(journal, document))
    planned = read_planned(document, observed.services, catalog)
    rows = lay_out_rows(observed, planned, catalog)
    capacity = measure_headroom(rows, planned, services, catalog)
    attribution = attribute_miss(observed, forecast, catalog, daily_activity.totals(), services)
    incidents, orphans = link_incidents(journal)
    findings = find(journal, document, promotion, incidents, orphans, capacity=capacity)
    written, proposed = (
        journal_actions(journal),
        propose_actions(findings, capacity, services, promotion, catalog, entries=attribution.entries),
    )
    times = mean_times(incidents)
    decomposition = attribution.to_frame(floor_days)
    currency = str((document.get("cost") or {}).get("currency") or "")
    return Review(
        promotion=promotion,
        as_of=str(document.get("as_of") or ""),
        verdict=write_verdict(
            demand,
            services,
            decomposition,
            capacity,
            times,
            findings,
            (*written, *proposed),
            currency=currency,
            journal_kept=len(journal) > 0,
        ),
        demand=demand,
        services=services,
        bias=bias_table(demand, services),
        estimates=compare_estimates(promotion, demand),
        decomposition=decomposition,
        capacity=capacity,
        incidents=incident_frame(incidents, observed.timezone),
        mean_times=times,
        findings=findings_frame(findings, observed.timezone),
        lessons=draw_lessons(
            promotion, demand, attribution, capacity_evidence(rows, planned, catalog), floor_days=floor_days
        ),
        actions=(*written, *proposed),
        worklist=actions_frame({"journal": written, "review": proposed}),
        series=_series(observed),
        missing=tuple(_missing(observed, daily_activity, demand, services, promotion, journal, catalog, document))
        + attribution.notes,
        provenance=_provenance(document, journal, traffic),
        currency=currency,
    )


def _forecast_of(plan: "Plan") -> "tuple[Peaks, Promotion]":
    peaks = plan.peaks
    if peaks is None:
        raise NotCoveredError(
            f"the plan of {plan.promotion_id} came without its samples: phases and factors are not known",
            remedy="load it from its workspace, where the samples lie beside plan.json",
        )
    promotion = peaks.promotion
    if not isinstance(promotion, Promotion):
        raise InputError(f"plan.peaks.promotion: got {type(promotion).__name__}, expected a Promotion")
    return peaks, promotion


def _floor_days(observed: Observed, catalog: "Catalog | None") -> dict[date, float]:
    """Return the largest share turned away by day, over the services that users or orders come through."""
    daily = observed.daily
    if catalog is not None:
        passes = {name for name in catalog.entries if name in catalog}
        passes |= {name for name, service in catalog.items() if service.counts_as == "transaction"}
        # A limit below an entry turns its orders away just as well, where the request fails with the call.
        passes |= {call.to for service in catalog.values() for call in service.calls if call.is_required}
        daily = daily[daily["service"].isin(passes)]
    share = daily["rejected"] / daily["requests"].where(daily["requests"] > 0)
    largest = (
        pd.DataFrame({"date": daily["date"], "share": share}).groupby("date", as_index=False).agg({"share": "max"})
    )
    return {row["date"]: row["share"] for row in rows_of(largest) if row["share"] >= FLOOR_SHARE}


def _series(observed: Observed) -> pd.DataFrame:
    columns = ["ts", "service", "interval_s", "rate_qps", "second_qps", "rejected"]
    return observed.rows[columns].reset_index(drop=True)


def _missing(
    observed: Observed,
    daily_activity: "DailyActivity",
    demand: pd.DataFrame,
    services: pd.DataFrame,
    promotion: Promotion,
    journal: Journal,
    catalog: "Catalog | None",
    document: Mapping[str, Any],
) -> Iterable[str]:
    yield from observed.notes
    yield from _missing_days(demand, daily_activity)
    planned = set(document.get("services") or {})
    silent = sorted(planned - set(observed.services))
    if silent:
        yield f"No traffic of {some(silent)}: what was planned for them cannot be judged."
    unplanned = sorted(set(observed.services) - planned)
    if unplanned:
        yield f"The plan does not know {some(unplanned)}, which had traffic."
    floors = int((services["floor_because"] != "").sum())
    if floors:
        yield f"{floors} of {len(services)} peaks are floors of what was asked for: judged only where above the band."
    if catalog is None:
        yield "The plan came without its catalogue: calls, zones, cost and SLOs are unknown."
    if observed.rows["rejected"].isna().all():
        yield "The traffic does not say what was turned away: DAT and peaks may be floors without being known as such."
    if observed.rows["instances"].isna().all():
        yield "The traffic does not say how many instances served: what was used and wasted cannot be judged."
    if not len(journal):
        yield "No journal was kept: incidents, degradations, changes and drills cannot be judged."
    elif promotion.freeze is None:
        yield "The promotion has no freeze: changes cannot be held against one."
    if observed.hides_peak.all():
        yield "Every phase lacks logs: no peak is certain."


def _missing_days(demand: pd.DataFrame, daily_activity: "DailyActivity") -> Iterable[str]:
    for metric in ("dau", "dat"):
        own = demand[(demand["metric"] == metric) & demand["in_promotion"] & demand["actual"].isna()]
        if len(own):
            yield f"{metric.upper()} of {some([str(day) for day in own['date']])} is not there: not judged."
    if demand.empty:
        yield "The plan holds no forecast of DAU and DAT."
    if not daily_activity.has_total:
        yield "DAU is a sum over segments, in which people may count twice: an upper bound, as in the forecast."


def _provenance(document: Mapping[str, Any], journal: Journal, traffic: "Traffic") -> pd.DataFrame:
    rows = [("plan", f"as of {document.get('as_of')}", str(document.get("signature") or "unsigned"))]
    rows += [
        ("plan's input", str(entry.get("path")), str(entry.get("sha256"))) for entry in document.get("inputs") or ()
    ]
    last = "empty" if traffic.is_empty else f"{traffic.first_at} to {traffic.last_at}"
    rows += [("traffic", last, ""), ("journal", f"{len(journal)} entries", "")]
    return pd.DataFrame(rows, columns=["what", "which", "sha256"])
