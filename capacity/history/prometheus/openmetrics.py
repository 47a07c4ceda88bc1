"""Counters with timestamps in a text file, as Prometheus exports and OpenMetrics has them, into ``traffic``.

The library ``prometheus_client`` reads the two formats; what a counter grew between readings is spread evenly over
the time between them.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.errors import InputError, NotCoveredError, UsageError
from capacity.settings import Monitoring

Floats = NDArray[np.float64]
Series = dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, float]]]
_SELECTOR = re.compile(r"^\s*([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s*$", re.DOTALL)
_MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_MISSED = 4  # readings that may be missing before what lies between is unknown


def read_openmetrics(path: str | Path, names: Monitoring, *, step_s: float = 60.0) -> pd.DataFrame:
    """Return rows of ``traffic`` from a file of counters.

    Parameters
    ----------
    path
        In the Prometheus text format or OpenMetrics, each sample with its timestamp.
    names
        Selectors of requests, errors and rejected, and the label of the service.
    step_s
        Length of an interval.

    Returns
    -------
    DataFrame
        Columns ts, service, requests, and errors and rejected where they are there. Intervals that the readings do not
        cover are left out; latency and instances are not read.

    Raises
    ------
    InputError
        If the file is neither format, or samples have no timestamps.
    NotCoveredError
        If no counter is one of those that are named.
    """
    wanted = {
        column: parse_selector(selector)
        for column, selector in (("requests", names.requests), ("errors", names.errors), ("rejected", names.rejected))
        if selector
    }
    series: dict[str, Series] = {column: defaultdict(list) for column in wanted}
    for sample in _samples(Path(path)):
        service = sample.labels.get(names.service_label)
        for column, (metric, matches) in wanted.items():
            if sample.name == metric and service and matches(sample.labels):
                if sample.timestamp is None:
                    raise InputError(f"{path}: {sample.name} has no timestamp", remedy="export samples with timestamps")
                key = (service, tuple(sorted(sample.labels.items())))
                series[column][key].append((float(sample.timestamp), float(sample.value)))
    if not series["requests"]:
        raise NotCoveredError(
            f"{path} holds no counter {names.requests} with a label {names.service_label}",
            remedy="see the names under [monitoring] in capacity.toml",
        )
    frames = [_by_service(one, column, step_s) for column, one in series.items() if one]
    rows = frames[0]
    for frame in frames[1:]:
        rows = rows.merge(frame, on=["ts", "service"], how="left")
    return rows.sort_values(["ts", "service"], ignore_index=True)


def parse_selector(text: str) -> tuple[str, Callable[[Mapping[str, str]], bool]]:
    """Read a selector of PromQL: a name, and matchers in braces.

    Raises
    ------
    UsageError
        If it is more than that.

    Examples
    --------
    >>> name, matches = parse_selector('http_requests_total{code=~"5..", path!="/x"}')
    >>> name, matches({"code": "503", "path": "/y"}), matches({"code": "200"})
    ('http_requests_total', True, False)
    """
    found = _SELECTOR.match(text)
    inside = (found.group(2) or "") if found else ""
    matchers = list(_MATCHER.finditer(inside))
    if found is None or "".join(one.group(0) for one in matchers).strip() != inside.strip():
        raise UsageError(f"{text!r} is no plain selector", remedy='write it as NAME{label="value", …} to read files')
    tests = [_test(one.group(1), one.group(2), re.sub(r"\\(.)", r"\1", one.group(3))) for one in matchers]
    return found.group(1), lambda labels: all(test(labels) for test in tests)


def _test(label: str, sign: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    if sign in ("=", "!="):
        return lambda labels: (labels.get(label, "") == value) == (sign == "=")
    pattern = re.compile(value)
    return lambda labels: (pattern.fullmatch(labels.get(label, "")) is not None) == (sign == "=~")


def _samples(path: Path) -> Iterator[Any]:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics

    with path.open(encoding="utf-8") as file:
        file.seek(max(path.stat().st_size - 16, 0))
        ends = file.read().rstrip().endswith("# EOF")
        file.seek(0)
        families = (openmetrics if ends else parser).text_fd_to_metric_families(file)
        try:
            for family in families:
                yield from family.samples
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{path} is no text of metrics ({error})", remedy="is it whole?") from None


def _by_service(series: Series, column: str, step_s: float) -> pd.DataFrame:
    parts = [_growth(points, step_s).assign(service=service) for (service, _), points in series.items()]
    summed = pd.concat(parts, ignore_index=True).groupby(["at_s", "service"])["grew"].sum()
    rows = summed.reset_index()
    rows[column] = np.round(rows.pop("grew"))
    rows.insert(0, "ts", pd.to_datetime(rows.pop("at_s"), unit="s", utc=True))
    return rows


def _growth(points: list[tuple[float, float]], step_s: float) -> pd.DataFrame:
    """Return what one counter grew in each whole step that its readings cover."""
    at, value = np.array(sorted(points)).T
    if at.size < 2:
        return pd.DataFrame({"at_s": [], "grew": []})
    rise = np.diff(value)
    total = np.concatenate([[0.0], np.cumsum(np.where(rise >= 0, rise, value[1:]))])  # a counter that fell began anew
    first, last = np.ceil(at[0] / step_s), np.floor(at[-1] / step_s)
    edges = np.arange(first, last + 1) * step_s
    between = np.diff(at)
    longest = max(_MISSED * float(np.median(between)), step_s)
    dark = np.flatnonzero(between > longest)
    unknown = np.zeros(max(edges.size - 1, 0), dtype=bool)
    for gap in dark:
        unknown |= (edges[:-1] < at[gap + 1]) & (edges[1:] > at[gap])
    grew = np.diff(np.interp(edges, at, total))
    return pd.DataFrame({"at_s": edges[:-1][~unknown], "grew": grew[~unknown]})
