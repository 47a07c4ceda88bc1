"""One past forecast beside the rules of thumb and what came."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast import rules
from capacity.forecast.adjust import estimate_of
from capacity.forecast.course import Course
from capacity.forecast.heard import Heard, hear
from capacity.forecast.scores import FORECAST, QUANTILES, quantile_columns
from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]
METRICS = ("dau", "dat")
EVENT_COLUMNS = (
    "promotion", "kind", "metric", "as_of", "days_ahead", "known_of_kind", "actual", "q05", "q50", "q95",
    "inside_90", "error", "history_alone", "business", *rules.RULES,
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """A forecast as of a past day: its ``course``, promotions as ``known`` then, what was and what came.

    ``before`` (2, days) and ``after`` (2, horizon) are users and orders of the whole, NaN unknown; ``past`` the rules'
    errors by rule and metric.
    """

    course: Course
    known: Sequence[Promotion]
    before: Floats
    after: Floats
    past: Mapping[tuple[str, str], rules.PastErrors]

    @property
    def begin(self) -> int:
        """First forecast day, counted from the history's first."""
        return self.course.activity.n_history

    @cached_property
    def place(self) -> npt.NDArray[np.intp]:
        """(horizon,) which promotion each day lies in, −1 none."""
        horizon = len(self.course.dates)
        return rules.days_of(self.known, self.course.activity, self.begin + horizon)[self.begin :]

    @cached_property
    def coming(self) -> dict[int, Heard]:
        """The forecast of each promotion that had not begun, by its place."""
        first = self.course.activity.day_of
        places = [int(place) for place in np.unique(self.place) if place >= 0]
        return {
            place: hear(self.course, self.known[place], self.known)
            for place in places
            if first(self.known[place].dates[0]) >= self.begin
        }

    def whole(self, samples: Floats) -> Floats:
        """(n_samples, horizon) of the whole site."""
        lead = self.course.activity.lead
        return np.asarray(samples[:, lead] if lead >= 0 else samples.sum(axis=1))

    def history(self, metric: str) -> Floats:
        """(n_samples, horizon) futures before anybody is heard."""
        return self.whole(self.course.dau if metric == "dau" else self.course.dat)

    def forecast(self, metric: str) -> Floats:
        """(n_samples, horizon) futures as the program says them: each promotion's days with its estimate heard."""
        samples = self.history(metric).copy()
        for place, heard in self.coming.items():
            days = self.place == place
            samples[:, days] = self.whole(heard.dau if metric == "dau" else heard.dat)[:, days]
        return samples

    def rule(self, rule: str, metric: str) -> Floats:
        """(horizon,) forecast of a rule of thumb."""
        past = self.before[METRICS.index(metric)]
        return rules.point(rule, past, len(self.course.dates), self.known, self.course.activity)


def days(asked: Origin) -> Iterator[pd.DataFrame]:
    """Yield the rows of every method and metric, of the days that are known; see `Backtest.forecasts`.

    Days of a promotion that had begun are left out: the program does not forecast those.
    """
    begun = (asked.place >= 0) & ~np.isin(asked.place, list(asked.coming))
    names = np.array([*(promotion.id for promotion in asked.known), ""], dtype=object)[asked.place]
    for metric, actual in zip(METRICS, asked.after, strict=True):
        use = np.isfinite(actual) & ~begun
        head = pd.DataFrame(
            {
                "as_of": pd.Timestamp(asked.course.activity.as_of),
                "date": asked.course.dates,
                "horizon": np.arange(1, len(actual) + 1),
                "metric": metric,
                "promotion": names,
                "actual": actual,
            }
        )
        for method, columns in _methods(asked, metric).items():
            frame = head.assign(method=method, **{str(q): values for q, values in columns.items()})
            frame = frame.rename(columns={str(q): q for q in QUANTILES})
            kept = use & _has_voice(asked, metric) if method == "history_alone" else use
            yield frame[kept]


def _methods(asked: Origin, metric: str) -> dict[str, dict[float, Floats]]:
    found = {FORECAST: quantile_columns(asked.forecast(metric))}
    if _has_voice(asked, metric).any():
        found["history_alone"] = quantile_columns(asked.history(metric))
    for rule in rules.RULES:
        said = asked.rule(rule, metric)
        spread = rules.intervals(said, asked.past[rule, metric], asked.begin, QUANTILES)
        found[rule] = dict(zip(QUANTILES, spread, strict=True))
    return found


def _has_voice(asked: Origin, metric: str) -> npt.NDArray[np.bool_]:
    """(horizon,) days on which the business was heard on a metric."""
    voices = [place for place, heard in asked.coming.items() if _weighs(heard, metric)]
    return np.isin(asked.place, voices)


def _weighs(heard: Heard, metric: str) -> bool:
    return heard.business is not None and (metric in heard.business.opinions or "dau" in heard.business.opinions)


def promotions(asked: Origin) -> Iterator[dict[str, object]]:
    """Yield a row a metric of each promotion that lies wholly ahead and whose days are all known."""
    first = asked.course.activity.day_of
    for place, heard in asked.coming.items():
        promotion = asked.known[place]
        span = slice(first(promotion.dates[0]) - asked.begin, first(promotion.dates[-1]) - asked.begin + 1)
        if span.stop > len(asked.course.dates):
            continue
        for metric, actual in zip(METRICS, asked.after[:, span], strict=True):
            if np.isfinite(actual).all():
                yield _promotion(asked, promotion, heard, metric, span=span, actual=float(actual.max()))


def _promotion(
    asked: Origin, promotion: Promotion, heard: Heard, metric: str, *, span: slice, actual: float
) -> dict[str, object]:
    largest = asked.whole(heard.dau if metric == "dau" else heard.dat)[:, span].max(axis=1)
    q05, q50, q95 = (float(q) for q in np.quantile(largest, [0.05, 0.5, 0.95]))
    given = estimate_of(promotion, metric)
    activity = asked.course.activity
    of_kind = [p for p in asked.known if p.kind == promotion.kind and activity.day_of(p.dates[-1]) < asked.begin]
    seen = [p for p in of_kind if activity.day_of(p.dates[-1]) >= 0 or p.actual is not None]
    return {
        "promotion": promotion.id,
        "kind": promotion.kind,
        "metric": metric,
        "as_of": pd.Timestamp(activity.as_of),
        "days_ahead": span.start,
        "known_of_kind": len(seen),
        "actual": actual,
        "q05": q05,
        "q50": q50,
        "q95": q95,
        "inside_90": q05 <= actual <= q95,
        "error": q50 / actual - 1,
        "history_alone": float(np.median(asked.history(metric)[:, span].max(axis=1))),
        "business": float("nan") if given is None else given.mid,
        **{rule: float(np.max(asked.rule(rule, metric)[span])) for rule in rules.RULES},
    }
