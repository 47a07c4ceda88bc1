"""Answers of Prometheus as rows of ``traffic``."""

import numpy as np
import pandas as pd

from capacity.history.prometheus.client import Prometheus
from capacity.history.prometheus.questions import Question, traffic_questions
from capacity.settings import Monitoring

_EXTRAPOLATED = 0.1  # each series is extrapolated by itself by up to half a scrape at either edge of a step


def ask_traffic(
    server: Prometheus, names: Monitoring, *, start_s: float, end_s: float, step_s: float, columns: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, int]:
    """Ask for the intervals of a stretch of time.

    Parameters
    ----------
    server, names
        Whom to ask, and what things are called there.
    start_s, end_s
        Unix seconds; intervals begin at `start_s`, the last one ends at or before `end_s`.
    step_s
        Length of an interval.
    columns
        Which columns of ``traffic``; all that are recorded when empty. ``requests`` is always among them.

    Returns
    -------
    rows : DataFrame
        Columns ts (UTC), service, requests, and those that the server knows; unknown is absent.
    nameless : int
        Series without the label that names the service; they are left out.

    Raises
    ------
    InputError
        If the server refuses an expression.
    UnreachableError
        If it does not answer.
    """
    asked = [
        one for one in traffic_questions(names, step_s=step_s)
        if not columns or one.column in (*columns, "requests")
    ]  # fmt: skip
    rows, nameless = _column(server, names, asked[0], start_s, end_s, step_s)
    for question in asked[1:]:
        found, _ = _column(server, names, question, start_s, end_s, step_s)
        if not found.empty:
            rows = rows.merge(found, on=["at_s", "service"], how="left")
    _settle_rounding(rows)
    rows.insert(0, "ts", pd.to_datetime(rows.pop("at_s"), unit="s", utc=True))
    return rows.sort_values(["ts", "service"], ignore_index=True), nameless


def _column(
    server: Prometheus, names: Monitoring, question: Question, start_s: float, end_s: float, step_s: float
) -> tuple[pd.DataFrame, int]:
    found = server.query_range(question.expression, start_s=start_s + step_s, end_s=end_s, step_s=step_s)
    named = [one for one in found if one.labels.get(names.service_label)]
    parts = [
        pd.DataFrame({
            "at_s": one.at_s - step_s,  # the answer at a moment looks back over one step
            "service": one.labels[names.service_label],
            question.column: np.round(one.value) if question.whole else one.value,
        })
        for one in named
    ]  # fmt: skip
    empty = pd.DataFrame({"at_s": pd.Series(dtype=float), "service": pd.Series(dtype=str), question.column: 0.0})
    rows = pd.concat(parts, ignore_index=True) if parts else empty.iloc[:0]
    return rows[np.isfinite(rows[question.column].to_numpy(float))], len(found) - len(named)


def _settle_rounding(rows: pd.DataFrame) -> None:
    """Let requests be at least what became of them where only extrapolation and rounding say otherwise."""
    parts = [name for name in ("errors", "rejected") if name in rows]
    if parts:
        became = rows[parts].fillna(0.0).sum(axis=1)
        near = (became > rows["requests"]) & (became <= rows["requests"] * (1 + _EXTRAPOLATED) + len(parts) + 1)
        rows["requests"] = rows["requests"].where(~near, became)
