"""Every second of a promotion: arrivals at the entries, flows through the graph, and what limits turned away."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.demo.events import Event, Phase
from capacity.demo.graph import Edge, Floats, draw_counts, event_matrix, flow, keep_wobble, without_features
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import stream
from capacity.demo.services import DEGRADES, ENTRIES, NEW_SINCE
from capacity.demo.shapes import Rates

HALF_DAY_MARGIN_S = 6 * 3600


@dataclass(frozen=True)
class Window:
    """One promotion, second by second, before any limit.

    Parameters
    ----------
    event
        The promotion.
    starts_s
        First second, from the company's origin.
    external
        Requests from outside by entry service and second (whole numbers in float32).
    wobble
        By service: what arrived from inside divided by its mean.
    matrix
        Arrivals at j per request to i in this promotion.
    offered
        Requests that arrive at every service while no limit acts and nothing is degraded.
    """

    event: Event
    starts_s: int
    external: dict[str, Floats]
    wobble: dict[str, Floats]
    matrix: NDArray[np.float64]
    offered: dict[str, Floats]

    @property
    def seconds(self) -> int:
        """Length of the window."""
        return len(self.external["checkout"])

    def part(self, phase: Phase) -> slice:
        """Seconds of a phase, as far as the window reaches."""
        first = max(phase.starts_s - self.starts_s, 0)
        return slice(first, max(min(phase.ends_s - self.starts_s, self.seconds), first))

    def degraded(self, features: tuple[str, ...]) -> dict[str, Floats]:
        """Play the same seconds with the degraded features' calls removed throughout."""
        return flow(self.external, without_features(self.matrix, features), arrivals=keep_wobble(self.wobble))

    def actual(self, *, limit_qps: float | None, off: dict[str, tuple[int, int]]) -> tuple[dict[str, Floats], Floats]:
        """Give what arrived while a limit at checkout and switched-off features acted, and what checkout turned away.

        Parameters
        ----------
        limit_qps
            Requests a second that checkout lets through; None for no limit.
        off
            By feature: first and last second (from the company's origin) at which it was off.
        """
        share: dict[tuple[str, str], Floats] = {}
        for feature, (first, last) in off.items():
            on = np.ones(self.seconds, np.float32)
            on[max(first - self.starts_s, 0) : max(last - self.starts_s, 0)] = 0
            share[DEGRADES[feature]] = on
        asked = self.offered["checkout"]
        admitted = asked if limit_qps is None else np.minimum(asked, np.float32(np.floor(limit_qps)))
        if limit_qps is None and not share:
            return self.offered, np.zeros(self.seconds, np.float32)
        arriving = flow(
            self.external,
            self.matrix,
            arrivals=keep_wobble(self.wobble),
            admitted={"checkout": admitted},
            edge_share=share,
        )
        return arriving, asked - admitted


def simulate(
    parameters: Parameters, rates: Rates, edges: tuple[Edge, ...], event: Event, *, margin_s: int = HALF_DAY_MARGIN_S
) -> Window:
    """Play one promotion from `margin_s` seconds before it to as long after it."""
    starts, ends = event.starts_s - margin_s, event.ends_s + margin_s
    seconds = np.arange(starts, ends, dtype=np.float64)
    rng = stream(parameters.seed, "seconds", event.id)
    means = rates.entry_rates(seconds).astype(np.float32)
    minutes = len(seconds) // 60
    shared = _minute_noise(rng, minutes, 0.7 * parameters.minute_noise)
    external = {}
    for k, name in enumerate(ENTRIES):
        own = shared * _minute_noise(rng, minutes, 0.7 * parameters.minute_noise)
        dispersion = (parameters.second_noise[name] * event.burst) ** 2
        external[name] = draw_counts(rng, means[:, k] * own, dispersion=dispersion)
    matrix = event_matrix(parameters, edges, event.id, with_new=event.starts_at.date().isoformat() >= NEW_SINCE)
    wobble: dict[str, Floats] = {}
    offered = _first_flow(parameters, rng, external, matrix, wobble, event, seconds)
    return Window(event, starts, external, wobble, matrix, offered)


def _first_flow(
    parameters: Parameters,
    rng: np.random.Generator,
    external: dict[str, Floats],
    matrix: NDArray[np.float64],
    wobble: dict[str, Floats],
    event: Event,
    seconds: NDArray[np.float64],
) -> dict[str, Floats]:
    """Draw each service's wobble around the mean that its callers give it, keep it, and carry the flow on."""
    since = seconds - event.starts_s
    # New items and pages nobody has asked for yet: the cache misses more while the opening lasts.
    cold = np.where((since >= 0) & (since < 7200), event.cold_misses * np.exp(-since.clip(0) / 900), 0)

    def arrivals(name: str, mean: Floats) -> Floats:
        slow = _minute_noise(rng, len(seconds) // 60, parameters.mix_noise)
        if name == "catalog-db":
            slow = slow * (1 + cold).astype(np.float32)
        counts = draw_counts(rng, mean * slow, dispersion=0.0)
        wobble[name] = np.divide(counts, mean, out=np.ones_like(mean), where=mean > 0)
        return np.asarray(np.rint(mean * wobble[name]))

    return flow(external, matrix, arrivals=arrivals)


def _minute_noise(rng: np.random.Generator, minutes: int, scale: float) -> Floats:
    """Lognormal factor that changes every minute and remembers the last ones, by second."""
    from scipy.signal import lfilter

    noise = rng.normal(size=minutes) * scale
    noise[1:] *= np.sqrt(1 - 0.8**2)
    return np.repeat(np.exp(lfilter([1.0], [1.0, -0.8], noise)).astype(np.float32), 60)
