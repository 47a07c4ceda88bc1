"""A panel to forecast, and the files in which panels and answers pass between the two environments."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

TABLES = ("history", "events", "closed")


@dataclass(frozen=True)
class Panel:
    """Everything a method may know.

    Attributes
    ----------
    name : str
        Its name among the panels asked for.
    history : DataFrame
        date, series, value; a missing date is unknown. Day 1 of the forecast follows the last date.
    horizon : int
        Days ahead.
    events : DataFrame, optional
        kind, starts_on, ends_on (both inside), optionally series (empty: all) and intensity; past and future.
    closed : DataFrame, optional
        date, series of known closures, past and future: left out of training, forecast 0.
    holidays : str, optional
        A country's code.
    """

    name: str
    history: pd.DataFrame
    horizon: int
    events: pd.DataFrame | None = None
    closed: pd.DataFrame | None = None
    holidays: str | None = None


@dataclass(frozen=True)
class Request:
    """Panels, the methods and quantiles wanted of them, and the seed of methods that draw."""

    panels: tuple[Panel, ...]
    methods: tuple[str, ...]
    quantiles: tuple[float, ...]
    seed: int


def write_request(folder: Path, request: Request) -> None:
    """Write a request: its words as JSON, each kind of table as one Parquet file with a column ``panel``."""
    names = [panel.name for panel in request.panels]
    if len(set(names)) != len(names):
        raise ValueError(f"panels must have names of their own, got {names}")
    words = {
        "panels": [{"name": p.name, "horizon": p.horizon, "holidays": p.holidays} for p in request.panels],
        "methods": request.methods,
        "quantiles": request.quantiles,
        "seed": request.seed,
    }
    (folder / "request.json").write_text(json.dumps(words), encoding="utf-8")
    for table in TABLES:
        given = {panel.name: getattr(panel, table) for panel in request.panels}
        parts = [_plain(frame).assign(panel=name) for name, frame in given.items() if frame is not None]
        if parts:
            pd.concat(parts, ignore_index=True).to_parquet(folder / f"{table}.parquet", index=False)


def read_request(folder: Path) -> Request:
    """Read what `write_request` wrote."""
    words = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for table in TABLES:
        path = folder / f"{table}.parquet"
        frame = pd.read_parquet(path) if path.exists() else pd.DataFrame({"panel": []})
        tables[table] = {
            str(name): part.drop(columns="panel").reset_index(drop=True) for name, part in frame.groupby("panel")
        }
    panels = tuple(
        Panel(
            name=head["name"],
            history=tables["history"][head["name"]],
            horizon=head["horizon"],
            events=tables["events"].get(head["name"]),
            closed=tables["closed"].get(head["name"]),
            holidays=head["holidays"],
        )
        for head in words["panels"]
    )
    return Request(panels, tuple(words["methods"]), tuple(words["quantiles"]), words["seed"])


def write_answer(folder: Path, method: str, frames: dict[str, pd.DataFrame], times: Sequence[dict[str, Any]]) -> None:
    """Write a method's quantiles (series, date, one column a quantile) of each panel, and what they cost."""
    answer = pd.concat([frame.assign(panel=name) for name, frame in frames.items()], ignore_index=True)
    answer.columns = [str(name) for name in answer.columns]  # Parquet names columns by strings
    answer.assign(method=method).to_parquet(folder / f"answer-{method}.parquet", index=False)
    (folder / f"times-{method}.json").write_text(json.dumps(list(times)), encoding="utf-8")


def read_answer(folder: Path, request: Request) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the answers of all methods: (method, panel, series, date, quantiles named by floats), and their times."""
    quantiles = pd.concat(
        [pd.read_parquet(folder / f"answer-{method}.parquet") for method in request.methods], ignore_index=True
    ).rename(columns={str(q): q for q in request.quantiles})
    times = [
        row
        for method in request.methods
        for row in json.loads((folder / f"times-{method}.json").read_text(encoding="utf-8"))
    ]
    return quantiles[["method", "panel", "series", "date", *request.quantiles]], pd.DataFrame(times)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Series as text and days as timestamps without a clock, whatever the caller's types were."""
    plain = frame.copy()
    if "series" in plain:
        named = plain["series"].notna()
        plain["series"] = plain["series"].astype(str).where(named, None).astype(object)
    for name in ("date", "starts_on", "ends_on"):
        if name in plain:
            plain[name] = pd.to_datetime(plain[name]).dt.normalize().astype("datetime64[us]")
    return plain
