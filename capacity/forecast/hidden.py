"""Orders that limits turned away on past promotion days: demand that the day's DAT does not show.

Let a rejected request be followed by another try with probability ρ. Of T arriving requests, R rejected ones, ρR are
second tries, so T − ρR people wanted to order and (1 − ρ)R of them left without: the share of rejected requests that
are lost orders is 1 − ρ, whatever the limit and however long it held. Nobody records ρ. It is taken as even between 0
and 1 and the same on every limited day, so that its doubt is counted once for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast.activity import Activity

if TYPE_CHECKING:
    from capacity.history import DailyActivity
    from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
LOST = (_NODES + 1) / 2  # shares of rejected requests that are lost orders, with equal mass between them
_MASS = _WEIGHTS / 2
_RECENT_DAYS = 180
_FEWEST_DAYS = 14  # without rejections that tell how many requests make an order
_COVERED = 0.9  # of a day, or its requests are not counted
_NAMED = 4
_WORTH_A_WORD = 0.001  # of a day's orders
_UNKNOWN = (
    "no traffic of a service that counts_as transaction is known: what limits turned away on past days cannot be told, "
    "their DAT is taken as all that was wanted, a floor where there was a limit"
)


@dataclass(frozen=True)
class Limited:
    """Days of the history on which limits turned orders away.

    ``day`` counts from the history's first; ``rejected`` requests; ``asked`` the orders that these are if nobody came
    back; ``share`` is that over the day's recorded orders.
    """

    day: npt.NDArray[np.intp]
    rejected: Floats
    asked: Floats
    share: Floats
    per_order: str


def with_hidden(
    activity: Activity,
    daily_activity: "DailyActivity",
    promotions: Sequence["Promotion"],
    given: pd.DataFrame | None = None,
) -> Activity:
    """Add what limits hid to the orders of past promotion days.

    Parameters
    ----------
    activity : Activity
        History up to the eve of the forecast.
    daily_activity : DailyActivity
        Its `order_requests` tell what was rejected.
    promotions : sequence of Promotion
        Rejections on other days are no evidence of orders: bots and errors are rejected too.
    given : DataFrame, optional
        date, dat: orders known to be lost, in place of what traffic says.
    """
    if given is not None:
        added = _given(given, activity)
        says = f"orders given as hidden by limits are added to DAT of {int((added > 0).sum())} past days"
        return _scaled(activity, added, np.zeros_like(added), (says,), ())
    rows = daily_activity.order_requests
    if rows is None or not len(rows):
        return replace(activity, hidden_assumes=(_UNKNOWN,))
    limited = limited_days(rows, activity, promotions)
    if not len(limited.day):
        return activity
    added, sd = np.zeros(activity.n_history), np.zeros(activity.n_history)
    added[limited.day], sd[limited.day] = _doubted(limited.share)
    assumed = (
        "of the requests that limits turned away on past promotion days some were lost orders, some came back, and "
        "nobody records which: any share is taken as equally likely, the same on all days; half is added to DAT, "
        f"the doubt widens the forecast, other days' rejections are not counted. Requests an order: {limited.per_order}"
    )
    return _scaled(activity, added, sd, _says(limited, activity), (assumed,))


def limited_days(rows: pd.DataFrame, activity: Activity, promotions: Sequence["Promotion"]) -> Limited:
    """Find the past promotion days with rejections, and turn these into orders."""
    day = ((rows["date"] - pd.Timestamp(activity.first)) // pd.Timedelta(days=1)).to_numpy().astype(np.intp)
    rows = rows.assign(day=day)[(day >= 0) & (day < activity.n_history)]
    recorded = activity.whole[1]
    inside = {activity.day_of(date) for promotion in promotions for date in promotion.dates}
    asked, rejected = np.zeros(activity.n_history), np.zeros(activity.n_history)
    said = []
    for name, part in rows.groupby("service", sort=True):
        hit = part[(part["rejected"] > 0) & part["day"].isin(inside)]
        if len(hit):
            ratio, source = _per_order(part, recorded)
            np.add.at(asked, hit["day"].to_numpy(), hit["rejected"].to_numpy() / ratio)
            np.add.at(rejected, hit["day"].to_numpy(), hit["rejected"].to_numpy())
            said.append(f"{name} {ratio:.3g} ({source})")
    known = np.flatnonzero((asked > 0) & (np.nan_to_num(recorded) > 0)).astype(np.intp)
    return Limited(known, rejected[known], asked[known], asked[known] / recorded[known], ", ".join(said))


def _per_order(part: pd.DataFrame, recorded: Floats) -> tuple[float, str]:
    """Give requests per order of one service and their source: ordinary days, else the catalogue, else one."""
    plain = part[(part["rejected"].fillna(0) == 0) & (part["covered_fraction"] >= _COVERED) & (part["requests"] > 0)]
    plain = plain.sort_values("day").tail(_RECENT_DAYS)
    orders = recorded[plain["day"].to_numpy()]
    known = np.isfinite(orders) & (orders > 0)
    if known.sum() >= _FEWEST_DAYS:
        requests = plain["requests"].to_numpy(dtype=float) / np.minimum(plain["covered_fraction"].to_numpy(), 1.0)
        return float(
            np.median(requests[known] / orders[known])
        ), f"median of {int(known.sum())} days without rejections"
    stated = float(part["per_dat"].iloc[0])
    return (stated, "the catalogue's per_dat") if np.isfinite(stated) else (1.0, "one request is one transaction")


def _doubted(share: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of log(1 + lost × share), ``lost`` even between 0 and 1.

    Examples
    --------
    >>> mean, sd = _doubted(np.array([0.0, 0.5]))
    >>> np.round(mean, 3).tolist(), np.round(sd, 3).tolist()
    ([0.0, 0.216], [0.0, 0.117])
    """
    logs = np.log1p(share[:, None] * LOST)
    mean = logs @ _MASS
    return mean, np.sqrt(np.maximum((logs**2) @ _MASS - mean**2, 0.0))


def _given(hidden: pd.DataFrame, activity: Activity) -> Floats:
    """(days,) log factor on recorded orders by orders known to be lost (date, dat)."""
    total = activity.whole[1]
    day = (pd.to_datetime(hidden["date"]) - pd.Timestamp(activity.first)).dt.days.to_numpy()
    lost = pd.to_numeric(hidden["dat"]).to_numpy(dtype=float)
    factor = np.zeros(activity.n_history)
    inside = (day >= 0) & (day < activity.n_history)
    day, lost = day[inside], lost[inside]
    use = (np.nan_to_num(total[day]) > 0) & (lost > 0)
    np.add.at(factor, day[use], lost[use] / total[day[use]])
    return np.log1p(factor)


def _scaled(activity: Activity, added: Floats, sd: Floats, says: tuple[str, ...], assumes: tuple[str, ...]) -> Activity:
    """Raise the orders of every segment in proportion to what it counted; ``added`` (days,) is a log factor."""
    factor = np.exp(added)
    rest = activity.rest * np.stack([np.ones_like(factor), factor])
    return replace(
        activity,
        dat=activity.dat * factor,
        rest=rest,
        hidden_log=added,
        hidden_sd=sd,
        hidden_says=says,
        hidden_assumes=assumes,
    )


def _says(limited: Limited, activity: Activity) -> tuple[str, ...]:
    """Say what was added, the largest share first; small ones are counted only."""
    order = np.argsort(-limited.share, kind="stable")
    told = [k for k in order if limited.share[k] >= _WORTH_A_WORD]
    low, most = limited.asked / 2, limited.asked
    if not told:
        rejected = f"limits turned away {limited.rejected.sum():,.0f} requests on past promotion days"
        return (f"{rejected}, less than {_WORTH_A_WORD:.1%} of any day's orders",)
    days = [
        f"{pd.Timestamp(activity.first) + pd.Timedelta(days=int(limited.day[k])):%Y-%m-%d} {low[k]:,.0f} orders, "
        f"{np.expm1(_doubted(limited.share[[k]])[0][0]):+.1%} (0 to {most[k]:,.0f})"
        for k in told[:_NAMED]
    ]
    more = f" and {len(told) - _NAMED} more days" if len(told) > _NAMED else ""
    return (f"limits hid demand on past promotion days; added to DAT: {'; '.join(days)}{more}",)
