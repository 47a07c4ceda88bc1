"""Completed orders in the worst second, if nothing is turned away."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from capacity.peaks.picture import Picture
from capacity.peaks.priors import Floats
from capacity.peaks.simulate import Futures, Outcome

PLAUSIBLE = 20.0


def transaction_rate(
    services: Mapping[str, Any], picture: Picture, outcome: Outcome, futures: Futures, transaction_share: Floats
) -> Floats:
    """Return orders in the worst second, shape (sample,).

    The service that counts transactions receives so many requests per order: its worst second divided by that.
    Without such a service, the worst second of the entry whose requests come with orders most, divided likewise.
    """
    counting = [i for i, name in enumerate(picture.names) if services[name].counts_as == "transaction"]
    entry_of = {int(s): k for k, s in enumerate(picture.entries.index)}
    for service in counting:
        peak = outcome.peak_qps[:, :, service].max(1)
        if not peak.any():
            continue
        ratio = observed_ratio(picture, service)
        if service in entry_of and not picture.calls[:, [service]].nnz:
            # The promotion's own requests per order, as learnt from past ones.
            return np.asarray(peak / np.maximum(outcome.factors[:, entry_of[service], 2], 1e-9))
        return np.asarray(peak / (ratio if np.isfinite(ratio) and ratio < PLAUSIBLE else 1.0))
    if not picture.entries.index.size or not transaction_share.max(initial=0.0) > 0:
        return np.zeros(futures.dat.shape[0])
    k = int(transaction_share.argmax())
    dau, dat_per_dau, _, share, burst = np.moveaxis(outcome.factors[:, k], -1, 0)
    return np.asarray(dau * dat_per_dau * share / 60.0 * burst)


def observed_ratio(picture: Picture, service: int) -> float:
    """Return requests to a service per order, median of the last half year."""
    daily = picture.daily
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (daily.requests[:, service] / daily.dat)[-180:]
    good = np.isfinite(ratio) & (ratio > 0)
    return float(np.median(ratio[good])) if good.sum() >= 3 else float("nan")
