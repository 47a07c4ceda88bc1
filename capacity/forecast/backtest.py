"""How good the forecast would have been: as of past days, and three weeks before each past promotion."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import NotCoveredError
from capacity.forecast import judge, rules
from capacity.forecast.activity import Activity, daily_arrays
from capacity.forecast.course import as_known, forecast_course
from capacity.forecast.hidden import with_hidden
from capacity.forecast.scores import FORECAST, score_table
from capacity.forecast.verdicts import reasons
from capacity.promotion import Promotion, Promotions
from capacity.result import Result

if TYPE_CHECKING:
    from capacity.display.figures import Chart
    from capacity.history import DailyActivity
    from capacity.lessons import Lessons

Floats = npt.NDArray[np.float64]
FEWEST_DAYS = 60  # of history before an origin
EVENT_LEAD_DAYS = 21  # before each past promotion
_EVERY_DAYS, _REGULAR = 28, 13


@dataclass(frozen=True)
class Backtest(Result):
    """Forecasts as of past days against what came.

    Attributes
    ----------
    forecasts : DataFrame
        One row an origin, day, metric and method: as_of, date, horizon, metric (``dau``, ``dat``), promotion (that the
        day lies in, else empty), method, actual, and the quantiles in columns named by floats. Methods are
        ``forecast``; ``history_alone`` (the forecast before the business was heard, on days where it was); and the
        rules ``seasonal_naive`` (the last known week again) and ``last_year_times_growth``, with intervals from their
        own past errors where there are enough.
    events : DataFrame
        One row a past promotion and metric, of the forecast made nearest to three weeks before it began (by default
        just then): its largest day's actual, the forecast's quantiles, ``inside_90``, ``error``, how many past ones of
        the kind were known, and what history alone, the business and the rules said.
    assumptions : tuple of str
        What could not be rewound.
    """

    forecasts: pd.DataFrame
    events: pd.DataFrame
    assumptions: tuple[str, ...]

    units: ClassVar[dict[str, str]] = {"wape": "of actual", "width_90": "of actual", "n": "days"}

    def summary(self) -> str:
        """Say error and coverage of ordinary days, and of the largest days of past promotions."""
        frame = self._table
        every = frame[(frame["method"] == FORECAST) & (frame["days_ahead"] == "all") & (frame["days"] == "ordinary")]
        parts = [
            f"{str(row.metric).upper()} of ordinary days {row.wape:.1%} off, 90 % interval holds {row.coverage_90:.0%}"
            for row in every.itertuples()
        ]
        for metric, part in self.events.groupby("metric", sort=True):
            error = float(part["error"].abs().mean())
            held = f"90 % interval held {int(part['inside_90'].sum())} of {len(part)}"
            parts.append(f"{str(metric).upper()} of promotions' largest days {error:.1%} off, {held}")
        return f"{self.forecasts['as_of'].nunique()} origins; " + "; ".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a metric, kind of days (ordinary, event), days ahead and method.

        ``n`` days judged, ``clusters`` independent ones behind them (promotions, or origins); ``wape`` Σ|error| /
        Σactual, ``bias`` Σerror / Σactual (positive: too high); for 80, 90 and 95 ``coverage``, ``width`` and
        ``interval_score`` relative to the actual; ``pinball`` (mean over quantiles) and ``pinball_99`` likewise. Rows
        of other methods hold the forecast's error and 90 % interval score over theirs, on the days that they have one:
        ``error_ratio`` and ``interval_score_ratio``, below 1 where the forecast is better.
        """
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        return score_table(self.forecasts)

    @cached_property
    def why(self) -> tuple[str, ...]:
        """What the figures show, and how far so few promotions can show it."""
        return reasons(self._table, self.events)

    def plot(self) -> "Chart":
        """Draw coverage by days ahead, error beside the rules, and each past promotion."""
        from capacity.forecast.figure_backtest import draw_backtest

        return draw_backtest(self)


def backtest_demand(
    daily_activity: "DailyActivity",
    *,
    promotions: Promotions,
    lessons: "Lessons | None" = None,
    origins: Sequence[date] | None = None,
    horizon: int = 42,
    n_samples: int = 500,
    seed: int = 0,
) -> Backtest:
    """Forecast from past days, as the program would have then, and compare with what came.

    Every origin sees the days before it and nothing else: rejections, estimates signed and lessons learnt on that day
    or later are hidden, and so is what is remembered of promotions that were not over. A promotion is therefore judged
    by a forecast that leaves it, and all that came after it, out of what it learnt from.

    Parameters
    ----------
    daily_activity : DailyActivity
        The whole history.
    promotions : Promotions
        All promotions.
    lessons : Lessons, optional
        What reviews taught.
    origins : sequence of date, optional
        First forecast days; by default every four weeks of the last year, and three weeks before each past promotion.
    horizon : int
        Days ahead; a promotion's own origin looks past its end.
    n_samples, seed : int
        Futures a forecast.

    Returns
    -------
    Backtest

    Raises
    ------
    NotCoveredError
        No origin has enough history before it and a known day after it.
    """
    everything = as_known(list(promotions.values()), daily_activity.first_forecast_day or date.max)
    whole = with_hidden(daily_arrays(daily_activity), daily_activity, everything)
    chosen = _spans(whole, promotions, horizon) if origins is None else dict.fromkeys(origins, horizon)
    actual = np.where(whole.whole > 0, whole.whole, np.nan)  # closed days are no evidence of how good a forecast is
    longest = max(chosen.values(), default=horizon)
    past = {
        (rule, metric): rules.past_errors(rule, actual[row], longest, everything, whole, fewest=FEWEST_DAYS)
        for rule in rules.RULES
        for row, metric in enumerate(judge.METRICS)
    }
    frames: list[pd.DataFrame] = []
    events: list[dict[str, object]] = []
    skipped = 0
    for as_of, ahead in sorted(chosen.items()):
        day = whole.day_of(as_of)
        if not FEWEST_DAYS <= day < whole.n_history:
            continue
        known = as_known(everything, as_of)
        try:
            seen = with_hidden(daily_arrays(daily_activity, before=as_of), daily_activity, known)
        except NotCoveredError:
            skipped += 1
            continue
        course = forecast_course(
            seen,
            known,
            horizon=min(ahead, whole.n_history - day),
            timezone=daily_activity.timezone,
            country=daily_activity.country,
            lessons=lessons,
            n_samples=n_samples,
            seed=seed,
        )
        asked = judge.Origin(course, known, actual[:, :day], actual[:, day:][:, : len(course.dates)], past)
        frames += judge.days(asked)
        events += judge.promotions(asked)
    if not frames:
        raise NotCoveredError(
            f"no past day has {FEWEST_DAYS} days of history before it and a known day after it",
            remedy="ingest more daily_activity",
        )
    forecasts = pd.concat(frames, ignore_index=True)
    return Backtest(forecasts, _one_each(events), _assumptions(whole, everything, skipped))


def _one_each(events: list[dict[str, object]]) -> pd.DataFrame:
    """Keep of each promotion the forecast that was made nearest to three weeks before it."""
    table = pd.DataFrame(events, columns=list(judge.EVENT_COLUMNS))
    away = (table["days_ahead"] - EVENT_LEAD_DAYS).abs().astype(float)
    table = table.assign(away=away).sort_values("away", kind="stable").drop_duplicates(["promotion", "metric"])
    order = table.sort_values(["as_of", "metric"], ascending=[True, False], kind="stable")
    return order.drop(columns="away").reset_index(drop=True)


def _spans(whole: Activity, promotions: Promotions, horizon: int) -> dict[date, int]:
    """Days ahead by origin: every four weeks of the last year, and before each promotion, past whose end it looks."""
    last = whole.as_of - timedelta(days=horizon)
    spans = dict.fromkeys([last - timedelta(days=_EVERY_DAYS * k) for k in range(_REGULAR)], horizon)
    for promotion in promotions.values():
        if promotion.dates[0] < whole.as_of:
            origin = promotion.dates[0] - timedelta(days=EVENT_LEAD_DAYS)
            spans[origin] = max(spans.get(origin, 0), horizon, EVENT_LEAD_DAYS + len(promotion.dates) + 1)
    return spans


def _assumptions(whole: Activity, promotions: Sequence[Promotion], skipped: int) -> tuple[str, ...]:
    lines = ["dates, intensity and inventory of every promotion are taken as known at every origin"]
    unsigned = [p.id for p in promotions if p.expected is not None and p.expected.signed_at is None]
    if unsigned:
        names = ", ".join(unsigned[:5]) + (f" and {len(unsigned) - 5} more" if len(unsigned) > 5 else "")
        lines.append(f"estimates without signed_at are taken as known at every origin: {names}")
    if (whole.hidden_log > 0).any():
        days = int((whole.hidden_log > 0).sum())
        lines.append(
            f"DAT of days with a limit ({days}) is judged with half of what was turned away added, as it is forecast"
        )
    lines.append("rules have intervals from their own past errors, on promotion days from three past promotions on")
    if skipped:
        lines.append(f"{skipped} origins had too little history before them and are left out")
    return tuple(lines)
