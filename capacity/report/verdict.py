"""What a report says first, for readers and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capacity.display import escape, format_number, format_odds, format_percent

if TYPE_CHECKING:
    from capacity.forecast import Backtest, Demand
    from capacity.operations import Readiness
    from capacity.peaks import Peaks
    from capacity.plan import Plan
    from capacity.rehearsal import Rehearsal
    from capacity.retrospective import Review
    from capacity.saturation import Curves

METRICS_MIME = "application/vnd.capacity.metrics+json"
LINE = "\n"
Metric = Mapping[str, object]


@dataclass(frozen=True)
class Verdict:
    """A report's verdict and its numbers, as a notebook shows them and ``metrics.json`` keeps them.

    Attributes
    ----------
    sentence
        What a reader must know when nothing else is read.
    metrics
        ``{"name", "value", "unit"}`` each.
    """

    sentence: str
    metrics: tuple[Metric, ...] = ()

    def __repr__(self) -> str:
        return self.sentence

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        _ = include, exclude
        lines = "<br>".join(escape(line) for line in self.sentence.split(LINE))
        return {
            "text/plain": self.sentence,
            "text/html": f'<p class="verdict">{lines}</p>',
            METRICS_MIME: {"verdict": self.sentence, "metrics": [dict(metric) for metric in self.metrics]},
        }


def record(sentence: str, metrics: Sequence[Metric] = ()) -> Verdict:
    """Return the verdict that a report's cell ends with.

    Parameters
    ----------
    sentence
        The verdict, numbers and units included.
    metrics
        Its numbers for programs, ``{"name", "value", "unit"}`` each; unknown values are ``None``.

    Examples
    --------
    >>> record("Ready: 1 in 40 that a core service is overloaded.")
    Ready: 1 in 40 that a core service is overloaded.
    """
    return Verdict(sentence, tuple(metrics))


def forecast_verdict(demand: "Demand", peaks: "Peaks") -> Verdict:
    """Say the largest day and the worst second, with their 90 % intervals."""
    import numpy as np

    dates = [np.datetime64(day) for day in demand.promotion.dates]
    bands = {
        "dau": demand.total_dau.sel(date=dates).max("date").to_numpy(),
        "dat": demand.total_dat.sel(date=dates).max("date").to_numpy(),
        "peak_tps": peaks.peak_tps,
    }
    said = {name: _band(np.quantile(values, (0.05, 0.5, 0.95))) for name, values in bands.items()}
    sentence = (
        f"On its largest day {demand.promotion.id} brings {said['dau']} people and {said['dat']} orders; "
        f"its worst second {said['peak_tps']} orders. Brackets hold with 90 % probability."
    )
    if not peaks.seconds_known:
        sentence += " Seconds cannot be known from this history: they are a wide assumption."
    units = {"dau": "people/day", "dat": "orders/day", "peak_tps": "orders/s"}
    metrics: list[Metric] = [
        {"name": f"{name}_q{percent:02d}", "value": float(np.quantile(values, percent / 100)), "unit": units[name]}
        for name, values in bands.items()
        for percent in (5, 50, 95)
    ]
    return record(sentence, metrics)


def backtest_verdict(result: "Backtest") -> Verdict:
    """Say how far off promotions' largest days were, and how often the 90 % interval held them."""
    metrics: list[Metric] = []
    said = []
    for metric, part in result.events.groupby("metric", sort=False):
        held, error = int(part["inside_90"].sum()), float(part["error"].abs().mean())
        said.append(
            f"{str(metric).upper()} {format_percent(error)} off, {held} of {len(part)} inside their 90 % interval"
        )
        metrics += [
            {"name": f"{metric}_largest_day_error", "value": error, "unit": "fraction"},
            {"name": f"{metric}_largest_day_coverage_90", "value": held / len(part), "unit": "fraction"},
        ]
    every = result.to_frame().query("method == 'forecast' and days == 'ordinary' and days_ahead == 'all'")
    every = every.sort_values("metric", ascending=False)
    ordinary = every.to_dict(orient="records")
    for row in ordinary:
        metrics += [
            {"name": f"{row['metric']}_ordinary_error", "value": row["wape"], "unit": "fraction"},
            {"name": f"{row['metric']}_ordinary_coverage_90", "value": row["coverage_90"], "unit": "fraction"},
        ]
    promotions = result.events["promotion"].nunique()
    if said:
        sentence = (
            f"Three weeks before {promotions} past promotions their largest days were forecast: {'; '.join(said)}."
        )
    else:
        sentence = "No past promotion has enough history before it to judge the forecast of one."
    errors = [f"{str(row['metric']).upper()} {format_percent(row['wape'])}" for row in ordinary]
    return record(f"{sentence} On ordinary days: {' and '.join(errors)} off." if errors else sentence, metrics)


def saturation_verdict(curves: "Curves") -> Verdict:
    """Say how many capacities are measured, and which services' are not."""
    by_evidence: dict[str, list[str]] = {}
    for name in curves.services:
        by_evidence.setdefault(curves.evidence[name], []).append(name)
    measured = len(by_evidence.get("measured", ()))
    sentence = f"The capacity of {measured} of {len(curves.services)} services is measured up to its objective."
    meanings = {
        "bounded": "tests stopped early or elsewhere, so only bounds are known",
        "production": "only what production served is known",
        "none": "nothing is known",
    }
    for evidence, meaning in meanings.items():
        if by_evidence.get(evidence):
            sentence += f" Of {_names(by_evidence[evidence])} {meaning}."
    metrics: list[Metric] = [
        {"name": f"services_{evidence}", "value": len(names), "unit": "services"}
        for evidence, names in by_evidence.items()
    ]
    return record(sentence, metrics)


def plan_verdict(plan: "Plan", rehearsal: "Rehearsal") -> Verdict:
    """Say whether the plan holds, how surely, and what it costs."""
    document = plan.document
    risk, cost = document["risk"], document["cost"]
    probability = document["core_overload_probability"]
    losses = f"{risk['zone_losses']} zone{'s' * (risk['zone_losses'] != 1)}"
    odds = "unknown" if probability is None else format_odds(probability)
    state = f"Not ready: {'; '.join(plan.infeasible_because)}." if not plan.feasible else "Ready."
    sentence = (
        f"{state} The chance that any core service is overloaded with {losses} lost is {odds} "
        f"(allowed: {format_odds(risk['overload_probability'])}). Cost at the peak: "
        f"{format_number(cost['per_hour_peak'])} {cost['currency']}/h, now {format_number(cost['per_hour_now'])}."
    )
    turned_away = document["transactions_turned_away"]
    metrics: list[Metric] = [
        {"name": "feasible", "value": plan.feasible, "unit": ""},
        {"name": "core_overload_probability", "value": probability, "unit": "fraction"},
        {"name": "admitted_tps", "value": document["admitted_tps"], "unit": "orders/s"},
        {"name": "transactions_turned_away_q95", "value": turned_away["q95"], "unit": "orders"},
        {"name": "cost_per_hour_peak", "value": cost["per_hour_peak"], "unit": f"{cost['currency']}/h"},
        {"name": "rehearsed_overload_fraction", "value": rehearsal.overload_fraction, "unit": "fraction"},
    ]
    return record(sentence, metrics)


def rehearsal_verdict(rehearsal: "Rehearsal") -> Verdict:
    """Say what breaks first when the plan is played, and how often core demand exceeds capacity."""
    metrics: list[Metric] = [
        {"name": "rehearsed_overload_fraction", "value": rehearsal.overload_fraction, "unit": "fraction"},
        {"name": "turned_away_fraction", "value": rehearsal.turned_away_fraction, "unit": "fraction"},
        {"name": "services_broken", "value": len(rehearsal.breaks), "unit": "services"},
    ]
    return record(f"{rehearsal.summary()}.", metrics)


def readiness_verdict(readiness: "Readiness") -> Verdict:
    """Say whether a promotion is ready, or what stands between."""
    metrics: list[Metric] = [
        {"name": "blocking", "value": len(readiness.blocking), "unit": "items"},
        {"name": "open", "value": len(readiness.items), "unit": "items"},
        {"name": "overdue", "value": len(readiness.overdue), "unit": "items"},
        {"name": "core_overload_probability", "value": readiness.overload_probability, "unit": "fraction"},
    ]
    said = readiness.summary()
    return record(f"{said[:1].upper()}{said[1:]}.", metrics)


def review_verdict(review: "Review") -> Verdict:
    """Say the review's three sentences, a line each."""
    return record(LINE.join(review.verdict), review.metrics())


def _band(quantiles: Sequence[float]) -> str:
    low, mid, high = (format_number(float(value)) for value in quantiles)
    return f"{mid} [{low} – {high}]"


def _names(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
