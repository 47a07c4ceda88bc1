"""A rehearsal's findings as frames."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.rehearsal.causes import Scene
from capacity.rehearsal.findings import Break
from capacity.rehearsal.trace import BIN_S
from capacity.rehearsal.tries import Tried
from capacity.rehearsal.waits import mean_wait_s

if TYPE_CHECKING:
    import pandas as pd


def break_frame(breaks: Sequence[Break], tried: Sequence[Tried], *, first: str | None) -> "pd.DataFrame":
    """One row a service that broke."""
    import pandas as pd

    columns = ["service", "share", "at_s", "because", "recovers", "metastable", "shed_to_qps", "spread", "mend"]
    best = next((one.what for one in tried if one.mends), "")
    rows = [
        [
            b.service, b.share, b.at_s, b.because, b.recovers, b.metastable,
            None if np.isnan(b.shed_to_qps) else b.shed_to_qps,
            ", ".join(name for name, _ in b.spread),
            best if b.service == first else "",
        ]
        for b in breaks
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype({"shed_to_qps": object})


def tried_frame(tried: Sequence[Tried]) -> "pd.DataFrame":
    """One row a change that was tried, the cheapest that mends first."""
    import pandas as pd

    columns = [
        "change",
        "mends",
        "breaks",
        "breaks_before",
        "cost_per_hour",
        "value_lost_per_hour",
        "turned_away_requests",
    ]
    rows = [
        [t.what, t.mends, t.breaks, t.breaks_before, t.cost_per_hour, t.value_lost_per_hour, t.turned_away_requests]
        for t in tried
    ]
    return pd.DataFrame(rows, columns=columns).astype({"cost_per_hour": object})


def timeline_frame(scene: Scene) -> "pd.DataFrame":
    """Quantiles over the futures in ten-second bins, one row a bin and service."""
    import pandas as pd

    trace, fleet = scene.trace, scene.fleet
    bins, _, size = trace.timeline["demand"].shape
    data: dict[str, Any] = {
        "seconds": np.repeat(scene.stage.seconds[::BIN_S][:bins], size),
        "service": np.tile(np.array(fleet.names, dtype=object), bins),
    }
    unknown = ~fleet.is_known & ~np.isfinite(scene.world.fixed_qps)
    for name, values in trace.timeline.items():
        shown = values.astype(float)
        if name == "capacity":
            shown[:, :, unknown] = np.nan
        low, mid, high = shown.transpose(1, 0, 2)
        data |= {f"{name}_q05": low.ravel(), f"{name}_q50": mid.ravel(), f"{name}_q95": high.ravel()}
    data["wait_ms_q50"] = 1000.0 * _waits(scene, bins).ravel()
    data["broken_share"] = trace.broken_share.ravel()
    return pd.DataFrame(data)


def _waits(scene: Scene, bins: int) -> "np.ndarray[Any, Any]":
    """Median wait: the backlog ÷ capacity, plus M/M/c with one server an instance."""
    servers = scene.script.instances[::BIN_S][:bins][:, scene.world.pool]
    demand, capacity, backlog = (scene.trace.timeline[k][:, 1].astype(float) for k in ("demand", "capacity", "backlog"))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = capacity / np.maximum(servers, 1)
        queued = backlog / capacity
        inside = mean_wait_s(demand, servers=np.maximum(servers, 1), server_rate=rate)
    return np.where(np.isfinite(inside), inside, 0.0) + np.where(np.isfinite(queued), queued, 0.0)
