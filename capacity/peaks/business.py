"""The business's estimate of orders in the worst second, with its record, beside the forecast's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from capacity.forecast.business import PRIOR_SD, Track, Voice, apart, learn_track, voice
from capacity.peaks.picture import Picture
from capacity.peaks.priors import Floats
from capacity.peaks.transactions import PLAUSIBLE, observed_ratio
from capacity.result import Result

if TYPE_CHECKING:
    from capacity.promotion import Promotion

_TOO_FAR = 2.7  # of a chi-square with one degree of freedom: one time in ten by chance


@dataclass(frozen=True)
class PeakEstimate(Result):
    """Orders/s in the worst second, as forecast and as the business expects them.

    The two are compared and not combined: the forecast's second already rests on the business's estimate of the day.

    Attributes
    ----------
    forecast, business, business_corrected : Voice
        Median and 90 % interval of the forecast; the estimate as given; and with the bias and spread of past ones.
    track : Track
        The record of past estimates.
    """

    forecast: Voice
    business: Voice
    business_corrected: Voice
    track: Track

    units: ClassVar[dict[str, str]] = {"q05": "orders/s", "q50": "orders/s", "q95": "orders/s"}

    def summary(self) -> str:
        """Say both, what the record makes of the estimate, and whether they can both be right."""
        record = (
            f"{self.track.n} past estimates on record: what came lay {np.expm1(self.track.bias):+.0%} from their "
            "middle, shrunk"
            if self.track.n
            else f"no past estimate is on record: no bias and a spread of {PRIOR_SD:.0%} are assumed"
        )
        said = (
            f"orders in the worst second: forecast {self.forecast.q50:,.0f}/s, business {self.business.q50:,.0f}/s, "
            f"corrected {self.business_corrected.q50:,.0f}/s ({record})"
        )
        return f"{said}; they contradict each other: at least one is wrong" if self.contradicts else said

    @property
    def contradicts(self) -> bool:
        """Whether forecast and corrected estimate lie further apart than both claims allow."""
        return apart(self.forecast.on_log_scale(), self.business_corrected.on_log_scale()) > _TOO_FAR

    def to_frame(self) -> pd.DataFrame:
        """Return one row a voice."""
        voices = {name: getattr(self, name) for name in ("forecast", "business", "business_corrected")}
        return pd.DataFrame(
            [
                {"metric": "peak_tps", "voice": name, "q05": v.q05, "q50": v.q50, "q95": v.q95,
                 "past_estimates": self.track.n}
                for name, v in voices.items()
            ]
        )  # fmt: skip


def peak_estimate(
    promotion: "Promotion", past: Sequence["Promotion"], peak_tps: Floats, seen: Mapping[str, float]
) -> PeakEstimate | None:
    """Set the business's estimate beside the forecast ``peak_tps`` (sample,).

    Parameters
    ----------
    promotion : Promotion
        The one that is forecast.
    past : sequence of Promotion
        As known on the first forecast day.
    peak_tps : ndarray, shape (sample,)
        Orders/s in the worst second.
    seen : mapping
        What traffic shows of past promotions, by id, where nobody wrote it down.

    Returns
    -------
    PeakEstimate or None
        None where there is no estimate, or no orders are forecast.
    """
    given = promotion.expected.peak_tps if promotion.expected is not None else None
    if given is None or not given.mid > 0 or not np.median(peak_tps) > 0:
        return None
    ratios = []
    for other in past:
        said = other.expected.peak_tps if other.expected is not None else None
        came = other.actual.peak_tps if other.actual is not None and other.actual.peak_tps else seen.get(other.id)
        if other.id != promotion.id and said is not None and said.mid > 0 and came:
            ratios.append(float(np.log(came / said.mid)))
    track = learn_track(ratios)
    stated = Voice(given.low, given.mid, given.high)
    spread = max(track.sd, stated.on_log_scale()[1]) if given.low > 0 else track.sd
    low, middle, high = (float(q) for q in np.quantile(peak_tps, [0.05, 0.5, 0.95]))
    corrected = voice(float(np.log(given.mid)) + track.bias, spread)
    return PeakEstimate(Voice(low, middle, high), stated, corrected, track)


def seen_peaks(services: Mapping[str, Any], picture: Picture) -> dict[str, float]:
    """Orders/s in the busiest second of past events by id, where traffic knows seconds of what counts transactions."""
    found: dict[str, float] = {}
    for service, name in enumerate(picture.names):
        ratio = observed_ratio(picture, service)
        if services[name].counts_as != "transaction" or not 0 < ratio < PLAUSIBLE:
            continue
        for event, grid in zip(picture.events, picture.openings, strict=True):
            peak = grid.peak_qps[service]
            if np.isfinite(peak).any():
                found.setdefault(event.id, float(np.nanmax(peak)) / ratio)
    return found
