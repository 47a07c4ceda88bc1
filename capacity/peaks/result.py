"""The worst second of every service and phase, as joint samples."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from dataclasses import replace as with_fields
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from capacity.errors import InputError
from capacity.peaks.arrivals import Arrivals
from capacity.peaks.business import PeakEstimate
from capacity.result import Result, quantiles

if TYPE_CHECKING:
    from capacity.display.figures import Chart

FACTORS = ("dau", "dat_per_dau", "requests_per_dat", "peak_share", "burst")
_SCHEMA = 1


@dataclass(frozen=True, repr=False, eq=False)
class Peaks(Result):
    """Each service's worst second in each phase, one sample one future of everything.

    Attributes
    ----------
    promotion : Promotion
    as_of : date
        First day that was not known.
    services, phases, entries : tuple of str
    peak_qps : DataArray, dims (sample, phase, service)
        Requests/s in the worst second: internal calls and base retries included, nothing turned away.
    peak_at_s : DataArray, dims (sample, phase, service)
        When that is, in seconds after the promotion's start; negative before.
    factors : DataArray, dims (sample, entry_service, factor)
        Their product ÷ 60 (dau × dat_per_dau × requests_per_dat × peak_share / 60 × burst) is the external rate in
        the entry's own worst second.
    peak_tps : ndarray, shape (sample,)
        Completed orders/s in the worst second if nothing is turned away.
    seconds_known : bool
        Whether history shows what happens inside a minute; if not, bursts are a wide prior.
    why : mapping of str to tuple of str
        What each service's numbers rest on, in words.
    assumptions : tuple of str
    demand : Demand or None
        What it was made from.
    business : PeakEstimate or None
        The business's estimate of orders in the worst second beside the forecast; not kept in files.
    arrivals : Arrivals
        For `entry_rates`.
    reach : ndarray, shape (entry, service), or None
        Mean requests at each service for one from outside at an entry, calls per request as traffic corrects them.
    """

    promotion: Any
    as_of: date
    services: tuple[str, ...]
    phases: tuple[str, ...]
    entries: tuple[str, ...]
    peak_qps: xr.DataArray
    peak_at_s: xr.DataArray
    factors: xr.DataArray
    peak_tps: NDArray[np.float64]
    seconds_known: bool
    why: Mapping[str, tuple[str, ...]]
    assumptions: tuple[str, ...]
    arrivals: Arrivals
    demand: Any = None
    business: PeakEstimate | None = None
    reach: NDArray[np.float64] | None = None

    units: ClassVar[dict[str, str]] = {
        "q05": "requests/s",
        "q50": "requests/s",
        "q95": "requests/s",
        "q99": "requests/s",
    }

    @property
    def max_qps(self) -> xr.DataArray:
        """Worst second over all phases, dims (sample, service)."""
        return self.peak_qps.max("phase")

    @property
    def n_samples(self) -> int:
        """Number of futures."""
        return int(self.peak_qps.sizes["sample"])

    def summary(self) -> str:
        """Return one line: the promotion, orders in the worst second, the busiest service."""
        low, mid, high = quantiles(self.peak_tps, [0.05, 0.5, 0.95])
        span = f"{mid:,.0f} orders/s in the worst second ({low:,.0f} to {high:,.0f})"
        head = f"{self.promotion.id} as of {self.as_of}: {span}"
        if not self.services:
            return head
        top = np.median(self.max_qps.to_numpy(), axis=0)
        name = self.services[int(top.argmax())]
        tail = "" if self.seconds_known else "; seconds cannot be known from this history"
        return f"{head}; busiest service {name} at {top.max():,.0f} requests/s{tail}"

    def to_frame(self) -> pd.DataFrame:
        """Return quantiles of the worst second, one row a service and phase, and the median time of it."""
        values = quantiles(self.peak_qps.to_numpy(), (0.05, 0.5, 0.95, 0.99), axis=0).reshape(4, -1)
        start = pd.Timestamp(self.promotion.starts_at)
        at = start + pd.to_timedelta(np.round(np.median(self.peak_at_s.to_numpy(), axis=0)).ravel(), unit="s")
        index = pd.MultiIndex.from_product([self.phases, self.services], names=["phase", "service"])
        frame = pd.DataFrame(dict(zip(("q05", "q50", "q95", "q99"), values, strict=True)), index=index)
        frame["peak_at"] = at
        return frame.reset_index()

    def plot(self, service: str | None = None) -> "Chart":
        """Draw each service's worst second, or for one service the phases and the shape of its day."""
        from capacity.peaks.figure import draw_peaks, draw_service

        return draw_peaks(self) if service is None else draw_service(self, service)

    def scaled(self, factor: float) -> "Peaks":
        """Return the peaks with `factor` times the people, everything else as it is.

        Raises
        ------
        InputError
            If the factor is not a positive number.
        """
        if not (np.isfinite(factor) and factor > 0):
            raise InputError(f"demand factor: got {factor!r}, expected a positive number")
        factors = self.factors.copy()
        factors.loc[{"factor": "dau"}] = factors.sel(factor="dau") * factor
        moved = with_fields(
            self.arrivals, volume=self.arrivals.volume * np.float32(factor), peak_qps=self.arrivals.peak_qps * factor
        )
        demand = self.demand.scaled(factor) if hasattr(self.demand, "scaled") else self.demand
        note = f"what-if: demand multiplied by {factor:g}; bursts keep their ratio"
        return with_fields(
            self, peak_qps=self.peak_qps * factor, factors=factors, peak_tps=self.peak_tps * factor, arrivals=moved,
            demand=demand, business=None, assumptions=(*self.assumptions, note),
        )  # fmt: skip

    def entry_rates(
        self, sample_index: ArrayLike, *, start_s: float, duration_s: float, step_s: float = 1.0
    ) -> NDArray[np.float64]:
        """External requests/s arriving at the entry services in some futures.

        Parameters
        ----------
        sample_index : array of int
            Which samples.
        start_s, duration_s, step_s : float
            Seconds after the promotion's start, length and step.

        Returns
        -------
        ndarray, shape (len(sample_index), len(entries), steps)
            Each phase's worst second is in it, at its height.
        """
        index = np.atleast_1d(np.asarray(sample_index, dtype=np.int64))
        if index.size and (index.min() < 0 or index.max() >= self.n_samples):
            raise InputError(f"sample_index: got {index.min()} … {index.max()}, expected 0 … {self.n_samples - 1}")
        return self.arrivals.rates(index, start_s=start_s, duration_s=duration_s, step_s=step_s)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything but promotion and demand as plain arrays, for a file without pickle."""
        why = [(name, line) for name, lines in self.why.items() for line in lines]
        out: dict[str, NDArray[Any]] = {
            "schema": np.array(_SCHEMA),
            "as_of": np.array(self.as_of.isoformat()),
            "services": np.array(self.services, dtype=str),
            "phases": np.array(self.phases, dtype=str),
            "entries": np.array(self.entries, dtype=str),
            "peak_qps": self.peak_qps.to_numpy(),
            "peak_at_s": self.peak_at_s.to_numpy(),
            "factors": self.factors.to_numpy(),
            "peak_tps": self.peak_tps,
            "seconds_known": np.array(self.seconds_known),
            "why_service": np.array([w[0] for w in why], dtype=str),
            "why_text": np.array([w[1] for w in why], dtype=str),
            "assumptions": np.array(self.assumptions, dtype=str),
        }
        if self.reach is not None:
            out["reach"] = self.reach
        for item in fields(Arrivals):
            out[f"arrivals_{item.name}"] = np.asarray(getattr(self.arrivals, item.name))
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, promotion: Any, demand: Any = None) -> "Peaks":
        """Read what `to_arrays` wrote.

        Raises
        ------
        InputError
            If the arrays are of another make.
        """
        if "schema" not in arrays or int(arrays["schema"]) != _SCHEMA:
            raise InputError(
                f"peaks: got schema {arrays.get('schema')}, expected {_SCHEMA}", remedy="make the plan again"
            )
        why: dict[str, tuple[str, ...]] = {}
        for name, line in zip(arrays["why_service"].tolist(), arrays["why_text"].tolist(), strict=True):
            why[name] = (*why.get(name, ()), line)
        parts = {item.name: arrays[f"arrivals_{item.name}"] for item in fields(Arrivals)}
        parts["first_minute"] = int(parts["first_minute"])  # type: ignore[assignment]
        return make_peaks(
            promotion=promotion, as_of=date.fromisoformat(str(arrays["as_of"])), demand=demand,
            services=_names(arrays, "services"), phases=_names(arrays, "phases"), entries=_names(arrays, "entries"),
            peak_qps=arrays["peak_qps"], peak_at_s=arrays["peak_at_s"], factors=arrays["factors"],
            peak_tps=arrays["peak_tps"], seconds_known=bool(arrays["seconds_known"]), why=why,
            assumptions=_names(arrays, "assumptions"), arrivals=Arrivals(**parts),  # type: ignore[arg-type]
            reach=arrays.get("reach"),
        )  # fmt: skip


def _names(arrays: Mapping[str, NDArray[Any]], key: str) -> tuple[str, ...]:
    return tuple(str(v) for v in arrays[key].tolist())


def make_peaks(
    *,
    promotion: Any,
    as_of: date,
    demand: Any,
    services: tuple[str, ...],
    phases: tuple[str, ...],
    entries: tuple[str, ...],
    peak_qps: NDArray[np.float64],
    peak_at_s: NDArray[np.float64],
    factors: NDArray[np.float64],
    peak_tps: NDArray[np.float64],
    seconds_known: bool,
    why: Mapping[str, tuple[str, ...]],
    assumptions: tuple[str, ...],
    arrivals: Arrivals,
    business: PeakEstimate | None = None,
    reach: NDArray[np.float64] | None = None,
) -> Peaks:
    """Name plain arrays' dimensions and bind them into a result."""
    coords = {"phase": list(phases), "service": list(services)}
    dims = ("sample", "phase", "service")
    return Peaks(
        promotion=promotion, as_of=as_of, services=services, phases=phases, entries=entries,
        peak_qps=xr.DataArray(peak_qps, dims=dims, coords=coords, attrs={"units": "requests/s"}),
        peak_at_s=xr.DataArray(peak_at_s, dims=dims, coords=coords, attrs={"units": "s after the start"}),
        factors=xr.DataArray(
            factors, dims=("sample", "entry_service", "factor"),
            coords={"entry_service": list(entries), "factor": list(FACTORS)},
        ),
        peak_tps=peak_tps, seconds_known=seconds_known, why=why, assumptions=assumptions, arrivals=arrivals,
        demand=demand, business=business, reach=reach,
    )  # fmt: skip
