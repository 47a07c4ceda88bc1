"""Ask the peers for forecasts: one subprocess in their environment, however many panels and methods."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.peers.panel import Panel, Request, read_answer, write_request

ROOT = Path(__file__).resolve().parents[2]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
NAIVE = ("seasonal_naive", "last_year_times_growth")
# Those named _events are told of events by a regression that runs before them: their libraries take no regressors.
TOLD = ("prophet", "lightgbm", "mstl_events", "autoets_events", "autotheta_events")
UNTOLD = ("mstl", "autoets", "autotheta")
PEERS = (*TOLD, *UNTOLD, *NAIVE)


@dataclass(frozen=True)
class PeerForecasts:
    """What the peers answered.

    Attributes
    ----------
    quantiles : DataFrame
        method, panel, series, date, and one column a quantile, named by the floats passed. A series that a method
        cannot forecast (too short for it) has missing values.
    times : DataFrame
        method, panel, n_series, n_failed, failure (the first one's words), wall_s, cpu_s (child processes counted);
        loading of libraries is left out.
    """

    quantiles: pd.DataFrame
    times: pd.DataFrame


def peer_forecasts(
    panels: Sequence[Panel],
    *,
    quantiles: Iterable[float],
    methods: Sequence[str] = PEERS,
    python: Path = PEERS_PYTHON,
    seed: int = 0,
) -> PeerForecasts:
    """Forecast panels by other libraries, every one with the same inputs.

    Parameters
    ----------
    panels : sequence of Panel
        Each is forecast by itself; names must differ.
    quantiles : iterable of float
        Strictly between 0 and 1.
    methods : sequence of str
        Some of `PEERS`: `TOLD` use events, `UNTOLD` cannot, `NAIVE` are rules that need no library.
    python : Path
        The interpreter of the peers' environment, made by ``make benchmarks-peers``; `NAIVE` run in any.
    seed : int
        Seed of methods that draw.

    Raises
    ------
    FileNotFoundError
        The peers' environment is absent.
    RuntimeError
        The subprocess failed; the end of what it said is in the message.

    Examples
    --------
    >>> import sys
    >>> days = pd.date_range("2026-01-01", periods=70)
    >>> shop = Panel("shop", pd.DataFrame({"date": days, "series": "a", "value": range(70)}), horizon=2)
    >>> found = peer_forecasts([shop], quantiles=[0.5], methods=["seasonal_naive"], python=Path(sys.executable))
    >>> found.quantiles[["series", 0.5]].to_numpy().tolist()
    [['a', 63.0], ['a', 64.0]]
    """
    if unknown := sorted(set(methods) - set(PEERS)):
        raise ValueError(f"no such peers: {unknown}; there are {list(PEERS)}")
    if not python.exists():
        raise FileNotFoundError(f"the peers' environment is absent: {python}; `make benchmarks-peers` makes it")
    request = Request(tuple(panels), tuple(methods), tuple(float(q) for q in quantiles), seed)
    # One thread each: speed is told for one process on one core, for every method alike.
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_request(folder, request)
        command = [str(python), "-m", "benchmarks.peers.serve", str(folder)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the peers failed (exit code {done.returncode}):\n{done.stderr[-3000:]}")
        return PeerForecasts(*read_answer(folder, request))
