"""Forecast what a folder asks for; runs in the peers' environment as ``python -m benchmarks.peers.serve FOLDER``."""

import importlib
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.peers.grid import Grid, make_grid
from benchmarks.peers.panel import Request, read_request, write_answer

Floats = npt.NDArray[np.float64]
LIBRARIES = {"prophet": ["prophet"], "lightgbm": ["mlforecast", "lightgbm"], "seasonal": [], "last": []}


@dataclass(frozen=True)
class Answer:
    """Quantiles (series, horizon, quantiles), missing where a series failed, and the first failure's words."""

    found: Floats
    failure: str = ""


def answer(method: str, grid: Grid, request: Request) -> Answer:
    """Forecast a panel by a method."""
    wanted = request.quantiles
    if method in ("seasonal_naive", "last_year_times_growth"):
        from benchmarks.peers import naive_method

        return Answer(naive_method.forecast(grid, wanted, rule=method))
    if method == "lightgbm":
        from benchmarks.peers import lightgbm_method

        return Answer(lightgbm_method.forecast(grid, wanted, seed=request.seed))
    if method == "prophet":
        from benchmarks.peers import prophet_method

        one = prophet_method.forecaster(grid, wanted, seed=request.seed)
        return one_by_one(grid, len(wanted), one)
    from benchmarks.peers import statsforecast_method

    model, _, events = method.partition("_")
    one = statsforecast_method.forecaster(grid, wanted, model=model, with_events=events == "events")
    return one_by_one(grid, len(wanted), one)


def one_by_one(grid: Grid, n_quantiles: int, forecast_one: Callable[[int], Floats]) -> Answer:
    """Forecast series by series, as these libraries do."""
    found = np.full((len(grid.series), grid.horizon, n_quantiles), np.nan)
    failure = ""
    for row, name in enumerate(grid.series):
        try:
            found[row] = forecast_one(row)
        except Exception as error:  # noqa: BLE001 - whatever a library cannot do with a series, it has no forecast
            failure = failure or f"{name}: {error!r}"
    return Answer(found, failure)


def frame_of(grid: Grid, found: Floats, quantiles: tuple[float, ...]) -> pd.DataFrame:
    """Return series, date and quantiles: in order of the quantile, at least 0, and 0 on closed days."""
    in_order = np.sort(np.maximum(found, 0.0), axis=2)[..., np.argsort(np.argsort(quantiles))]
    in_order = np.where(grid.closed[:, grid.n_history :, None], 0.0, in_order)
    ahead = grid.dates[grid.n_history :]
    frame = pd.DataFrame({"series": np.repeat(grid.series, len(ahead)), "date": np.tile(ahead, len(grid.series))})
    for column, q in enumerate(quantiles):
        frame[q] = in_order[..., column].ravel()
    return frame


def cpu_seconds() -> float:
    """CPU time of this process and of those it ran: Prophet fits in processes of its own."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main(folder: Path) -> None:
    """Answer the request of a folder."""
    warnings.simplefilter("ignore")
    request = read_request(folder)
    for method in request.methods:
        for library in LIBRARIES.get(method.split("_")[0], ["statsforecast.models"]):
            importlib.import_module(library)
        frames, times = {}, []
        for panel in request.panels:
            wall, cpu = time.perf_counter(), cpu_seconds()
            grid = make_grid(panel)
            done = answer(method, grid, request)
            frame = frames[panel.name] = frame_of(grid, done.found, request.quantiles)
            spent = {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_seconds() - cpu}
            n_failed = int(frame.loc[frame[list(request.quantiles)].isna().any(axis=1), "series"].nunique())
            sizes = {"n_series": len(grid.series), "n_failed": n_failed, "failure": done.failure}
            times.append({"method": method, "panel": panel.name} | sizes | spent)
        write_answer(folder, method, frames, times)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
