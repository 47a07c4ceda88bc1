"""What one promotion teaches: small multiplicative corrections, with the doubt that one event leaves."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from capacity.lessons import Lesson, Lessons
from capacity.promotion import Promotion
from capacity.retrospective.attribution import Attribution
from capacity.retrospective.decomposition import FACTORS
from capacity.retrospective.headroom import Rows
from capacity.retrospective.planned import Planned

if TYPE_CHECKING:
    from capacity.catalog import Catalog

Floats = NDArray[np.float64]

# How wrong the program's forecasts are believed to be in a way that returns, before any review: a factor of 1.1
# either way is one standard deviation. Ordinary luck of one event is already in the forecast's own spread.
PRIOR_SD = 0.1
SMALLEST_SPREAD = 0.02
WORTH_SAYING = 0.02  # a correction of less than this is within what any forecast rounds
_BROKEN_S = 180.0
_Z95 = float(ndtri(0.95))
_WORDS = {
    "dau": "active users",
    "dat_per_dau": "orders per active user",
    "requests_per_dat": "requests per order",
    "peak_share": "share of the day in its busiest minute",
    "burst": "busiest second over its minute",
    "instance_capacity_qps": "requests/s that one instance takes within the SLO",
}


def shrink(log_ratio: float, predictive_sd: float, *, prior_sd: float = PRIOR_SD) -> tuple[float, float]:
    """Return mean and standard deviation of the correction's log after one event.

    The correction's log c has the prior N(0, prior_sd²); the event showed ``log_ratio = c + luck`` with luck
    N(0, predictive_sd²), the spread the forecast itself had announced.

    Parameters
    ----------
    log_ratio
        ln(actual ÷ forecast).
    predictive_sd
        Spread of the forecast's log.
    prior_sd
        See above.

    Examples
    --------
    A miss by a third, when the forecast had said ± 20 %, is mostly luck:

    >>> mean, sd = shrink(np.log(4 / 3), 0.2)
    >>> round(float(np.exp(mean)), 3), round(sd, 3)
    (1.059, 0.089)
    """
    luck = max(predictive_sd, SMALLEST_SPREAD) ** 2
    weight = prior_sd**2 / (prior_sd**2 + luck)
    return weight * log_ratio, float(np.sqrt(weight * luck))


def draw_lessons(
    promotion: Promotion,
    demand: pd.DataFrame,
    attribution: Attribution,
    capacity: list[tuple[str, float, float, str]],
    *,
    floor_days: Mapping[date, float],
) -> Lessons:
    """Turn what missed into lessons.

    Parameters
    ----------
    promotion
        Which taught them; its last day is ``learned_at``.
    demand
        The comparison of DAU and DAT.
    attribution
        The factors of the entries' peaks.
    capacity
        From :func:`capacity_evidence`.
    floor_days
        Share of requests turned away, by day: there orders are a floor, and requests per order teach nothing.

    Returns
    -------
    Lessons
        One a parameter and scope whose correction is worth saying. They are priors for the next forecast, never a
        second observation: the days themselves are in the history by then.
    """
    found = [
        *_of_people(promotion, demand, attribution),
        *_of_entries(promotion, attribution, floor_days),
        *(
            _lesson("instance_capacity_qps", {"service": service}, ratio, spread, says, promotion)
            for service, ratio, spread, says in capacity
        ),
    ]
    return Lessons([lesson for lesson in found if lesson is not None])


def capacity_evidence(rows: Rows, planned: Planned, catalog: "Catalog | None") -> list[tuple[str, float, float, str]]:
    """Find services whose instances took more, or less, than the plan's capacity within the SLO.

    Returns
    -------
    list
        ``service, ln(shown ÷ q50), predictive sd, evidence``. More is shown by what one instance served within the
        SLO above the plan's q50; less by at least three minutes outside it below the plan's q05, when no service it
        calls was outside its own and it had not served as much within the SLO at any other time. Pools that several
        services share are left out: their instances' load is of all of them.
    """
    if catalog is None:
        return []
    n = len(planned.services)
    shared = np.bincount(planned.host, minlength=n) > 1
    judged = [
        place
        for place, name in enumerate(planned.services)
        if name in catalog
        and catalog[name].has_pool
        and catalog[name].slo.judges_latency
        and not shared[place]
        and planned.evidence[place] not in ("none", "sla")
    ]
    admitted = rows.admitted_per_instance
    known = np.isfinite(admitted) & rows.judged
    served = np.where(known & ~rows.broken, admitted, 0.0)
    proven = np.zeros(n)
    np.maximum.at(proven, rows.of, served)
    short = known & rows.broken & (admitted < planned.capacity_q05[rows.of]) & (admitted > proven[rows.of])
    spread = np.log(planned.capacity_q95 / planned.capacity_q05) / (2.0 * _Z95)
    found = []
    for place in judged:
        middle = planned.capacity_q50[place]
        if proven[place] > middle:
            says = f"one instance served {proven[place]:.4g}/s within the SLO; the plan's middle was {middle:.4g}/s"
            shown = float(proven[place])
        elif (lower := _outside_alone(rows, planned, catalog, place, short, admitted)) is not None:
            shown, says = lower
        else:
            continue
        if np.isfinite(spread[place]) and shown > 0:
            found.append((planned.services[place], float(np.log(shown / middle)), float(spread[place]), says))
    return found


def _outside_alone(
    rows: Rows, planned: Planned, catalog: "Catalog", place: int, short: NDArray[np.bool_], admitted: Floats
) -> tuple[float, str] | None:
    """Return what an instance was served while it alone broke its SLO, if for long enough."""
    own = short & (rows.of == place)
    if rows.seconds[own].sum() < _BROKEN_S:
        return None
    from capacity.graph import downstream

    below = {name for name in downstream(catalog, planned.services[place]) if name != planned.services[place]}
    callees = np.array([name in below for name in planned.services])
    alone = own & ~np.isin(rows.moments, rows.moments[rows.broken & callees[rows.of]])
    if rows.seconds[alone].sum() < _BROKEN_S:
        return None
    shown = float(np.median(admitted[alone]))
    minutes, low = rows.seconds[alone].sum() / 60.0, planned.capacity_q05[place]
    says = f"{minutes:.0f} min outside the SLO at a median of {shown:.4g}/s an instance"
    return shown, f"{says} while what it calls held its own; the plan's q05 was {low:.4g}/s"


def _of_people(promotion: Promotion, demand: pd.DataFrame, attribution: Attribution) -> Iterator[Lesson | None]:
    own = demand[demand["in_promotion"] & (demand["floor_because"] == "")]
    table = own.pivot_table(index="date", columns="metric", values="log_error").reindex(columns=["dau", "dat"])
    scope = {"kind": promotion.kind}
    spreads = np.nanmax(attribution.spread, axis=0) if len(attribution.spread) else np.full(len(FACTORS), np.nan)
    for parameter, errors in (("dau", table["dau"]), ("dat_per_dau", table["dat"] - table["dau"])):
        known = errors.dropna()
        spread = float(spreads[FACTORS.index(parameter)])
        if len(known) and np.isfinite(spread):
            # The days of one promotion miss together: their mean is one observation, not several.
            says = f"mean of {len(known)} promotion days"
            yield _lesson(parameter, scope, float(known.mean()), spread, says, promotion)


def _of_entries(
    promotion: Promotion, attribution: Attribution, floor_days: Mapping[date, float]
) -> Iterator[Lesson | None]:
    for parameter in ("requests_per_dat", "peak_share", "burst"):
        ratios = attribution.factor_ratio(parameter)
        spreads = attribution.spread[:, FACTORS.index(parameter)]
        for entry, day, ratio, spread in zip(attribution.entries, attribution.days, ratios, spreads, strict=True):
            if parameter == "requests_per_dat" and day in floor_days:
                continue
            if np.isfinite(ratio) and np.isfinite(spread):
                scope = {"kind": promotion.kind, "service": entry}
                yield _lesson(parameter, scope, float(ratio), float(spread), f"worst second of {entry}", promotion)


def _lesson(
    parameter: str, scope: dict[str, str], ratio: float, spread: float, says: str, promotion: Promotion
) -> Lesson | None:
    mean, sd = shrink(ratio, spread)
    if abs(mean) < WORTH_SAYING:
        return None
    low, middle, high = (float(np.exp(mean + z * sd)) for z in (-_Z95, 0.0, _Z95))
    evidence = (
        f"{promotion.id}: {_WORDS[parameter]} came at {np.exp(ratio):.3g} times the forecast's middle ({says}); the "
        f"forecast's own spread was ± {spread:.0%}, so that one event moves it to {middle:.3g} "
        f"(prior: 1 ± {PRIOR_SD:.0%})"
    )
    return Lesson.model_validate(
        {
            "parameter": parameter,
            "scope": scope,
            "quantiles": {"q05": low, "q50": middle, "q95": high},
            "evidence": evidence,
            "promotion": promotion.id,
            "learned_at": learned_at(promotion).isoformat(),
        }
    )


def learned_at(promotion: Promotion) -> date:
    """Return the promotion's last local day."""
    return promotion.dates[-1]
