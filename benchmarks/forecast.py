"""`capacity.forecast_panel` beside other libraries and rules: error, intervals and speed, as Markdown."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks import large, rossmann, speed
from benchmarks.peers.ask import NAIVE, PEERS, TOLD, peer_forecasts
from benchmarks.peers.panel import Panel
from benchmarks.scores import score, share_better

OURS = "capacity"
PARTS = ("rolling", "christmas", "speed")
NAMES = {
    OURS: "capacity",
    "prophet": "Prophet",
    "lightgbm": "LightGBM (mlforecast)",
    "mstl_events": "MSTL + event regression",
    "autoets_events": "AutoETS + event regression",
    "autotheta_events": "AutoTheta + event regression",
    "mstl": "MSTL, told of no events",
    "autoets": "AutoETS, told of no events",
    "autotheta": "AutoTheta, told of no events",
    "seasonal_naive": "same weekday last",
    "last_year_times_growth": "last year × growth",
}


def run(
    real_data: Path,
    python: Path,
    *,
    peers: Sequence[str] = PEERS,
    large_series: int = 0,
    parts: Sequence[str] = PARTS,
) -> str:
    """Return the tables of the parts asked for; ``large_series`` above 0 adds the run in blocks."""
    texts = []
    if not python.exists():
        texts.append(f"Peers are left out: {python} is absent, `make benchmarks-peers` makes it.")
        python, peers = Path(sys.executable), [name for name in peers if name in NAIVE]
    if not real_data.is_dir():
        texts.append(f"Shops: skipped, {real_data} is absent.")
    else:
        texts += shops(rossmann.read_sales(real_data), peers, python, parts)
    if "speed" in parts:
        texts.append(speeds(peers, python))
    if large_series:
        found = large.run(large_series)
        texts.append("### In blocks\n\n" + "; ".join(f"{name} {value}" for name, value in found.items()))
    return "\n\n".join(texts)


def shops(sales: pd.DataFrame, peers: Sequence[str], python: Path, parts: Sequence[str]) -> list[str]:
    """Return the tables of the hundred shops, by what methods are told besides promotions and closures."""
    texts = []
    told = [name for name in peers if name in TOLD]
    if "rolling" in parts:
        for extras, methods in ((rossmann.NOTHING, peers), (rossmann.BOTH, told)):
            panels = rossmann.rolling_panels(sales, extras=extras)
            title = f"### Three origins × {rossmann.AHEAD} days; told: {rossmann.words(extras)}"
            texts += [title, compare(panels, sales, methods, python)]
    if "christmas" in parts:
        for extras, methods in ((rossmann.NOTHING, [*told, *NAIVE]), (rossmann.HOLIDAYS, told), (rossmann.BOTH, told)):
            panels = [rossmann.christmas_panel(sales, extras=extras)]
            title = f"### 15–24 December 2014; told: {rossmann.words(extras)}"
            texts += [title, compare(panels, sales, [name for name in peers if name in methods], python)]
    return texts


def compare(panels: Sequence[Panel], sales: pd.DataFrame, peers: Sequence[str], python: Path) -> str:
    """Forecast panels by ours and peers and return the table of scores."""
    ours, cpu_s = ours_of(panels)
    asked = peer_forecasts(panels, quantiles=rossmann.QUANTILES, methods=peers, python=python)
    frame = pd.concat([ours, asked.quantiles], ignore_index=True)
    judged = frame.merge(rossmann.actuals(sales), on=["series", "date"], validate="many_to_one")
    seconds = {OURS: cpu_s} | asked.times.groupby("method")["cpu_s"].sum().to_dict()
    scores = {method: score(judged[judged["method"] == method]) for method in [OURS, *peers]}
    rows = []
    for method, found in scores.items():
        beaten = "" if method == OURS else f"{100 * share_better(judged, OURS, method):.0f} %"
        rows.append(
            {
                "method": NAMES[method],
                "WAPE %": f"{100 * found['wape']:.2f}",
                "÷ ours": f"{found['wape'] / scores[OURS]['wape']:.2f}",
                "bias %": f"{100 * found['bias']:+.1f}",
                "inside 80 %": f"{100 * found['inside_80']:.1f}",
                "inside 95 %": f"{100 * found['inside_95']:.1f}",
                "width 80": f"{100 * found['width_80']:.1f}",
                "score 80": f"{100 * found['interval_score_80']:.1f}",
                "score 80 ÷ ours": _ratio(found, scores[OURS], "interval_score_80"),
                "score 95 ÷ ours": _ratio(found, scores[OURS], "interval_score_95"),
                "below q99 %": f"{100 * found['below_q99']:.1f}",
                "pinball 99 %": f"{100 * found['pinball_99']:.2f}",
                "shops on which ours is better": beaten,
                "CPU s": f"{seconds[method]:.1f}",
            }
        )
    return markdown(pd.DataFrame(rows))


def _ratio(found: dict[str, float], ours: dict[str, float], name: str) -> str:
    return f"{found[name] / ours[name]:.2f}"


def ours_of(panels: Sequence[Panel]) -> tuple[pd.DataFrame, float]:
    """Forecast panels by `capacity.forecast_panel`: method, panel, series, date, quantiles; and its CPU seconds."""
    from capacity.forecast import forecast_panel

    frames = []
    cpu = time.process_time()
    for panel in panels:
        found = forecast_panel(
            panel.history,
            events=panel.events,
            closed=panel.closed,
            holidays=panel.holidays,
            horizon=panel.horizon,
            quantiles=rossmann.QUANTILES,
        )
        frames.append(found.quantiles.assign(method=OURS, panel=panel.name))
    spent = time.process_time() - cpu
    return pd.concat(frames, ignore_index=True), spent


def speeds(peers: Sequence[str], python: Path) -> str:
    """Return the table of speed; ratios are of CPU seconds, which other work on the machine does not stretch."""
    times = pd.concat([speed.time_ours(), speed.time_peers(peers, python)], ignore_index=True)
    times["cpu_ms"] = 1e3 * times["cpu_s"] / times["n_series"]
    ours = float(times.loc[(times["method"] == OURS) & (times["n_series"] == 1000), "cpu_ms"].iloc[0])
    rows = [
        {
            "method": NAMES[row.method],
            "series": row.n_series,
            "series/s": f"{row.n_series / row.wall_s:.3g}",
            "CPU ms a series": f"{row.cpu_ms:.3g}",
            "CPU ÷ ours (1,000 series)": f"{row.cpu_ms / ours:.3g}",
        }
        for row in times.itertuples()
    ]
    return f"### Speed: {speed.DAYS} days, {speed.AHEAD} ahead\n\n{markdown(pd.DataFrame(rows))}"


def markdown(table: pd.DataFrame) -> str:
    """Write a table of texts in Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
