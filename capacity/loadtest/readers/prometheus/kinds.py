"""What a series measures, told from the metric's name and labels or, for an expression, from the file's name."""

from __future__ import annotations

import re

import numpy as np

from capacity.loadtest.readers.prometheus.document import Series

COUNTER, RATE = "count of requests", "requests per second"
FAILURES, FAILURE_RATE, ERROR_SHARE = "count of failures", "failures per second", "share of errors"
IN_PROGRESS, USERS = "requests in progress", "users"
LATENCY_SUM, MEAN, BUCKET = "sum of latencies", "mean latency", "latency histogram"
PERCENTILE = {
    "p50_ms": "median latency",
    "p95_ms": "95th percentile of latency",
    "p99_ms": "99th percentile of latency",
}
CPU = "share of CPU used"
CUMULATIVE = "a percentile or mean since the start of the test"

_CLIENTS = ("k6", "locust", "jmeter", "gatling", "vegeta", "wrk", "loadgen", "client")
_NOTHING = re.compile(r"^(up|scrape_.*|go_.*|promhttp_.*|prometheus_.*|k6_(iteration|data|checks?|group|vus_max).*)$")
_TIME = re.compile(r"duration|latenc|response|request|handler|time")
_REQUESTS = re.compile(r"requests?|reqs|http|rpc|hits|calls|queries|handled|duration|latency|count_raw|^count$")
_TAILS = (
    ("p50_ms", re.compile(r"(^|[^0-9a-z])(p50|med|median|q50)([^0-9a-z]|$)")),
    ("p95_ms", re.compile(r"(^|[^0-9a-z])(p95|q95)([^0-9a-z]|$)")),
    ("p99_ms", re.compile(r"(^|[^0-9a-z])(p99|q99)([^0-9a-z]|$)")),
)
_QUANTILES = {0.5: "p50_ms", 0.95: "p95_ms", 0.99: "p99_ms"}
STATUS = ("status", "code", "status_code", "http_status", "http_status_code", "response_code", "status_class")
_REQUEST_NAMES = ("handler", "name", "path", "route", "uri", "endpoint", "url", "operation", "method")


def of_client(series: Series) -> bool:
    """Whether a series is the load generator's own."""
    return any(re.match(rf"{client}([^a-z]|$)", series.name.lower()) for client in _CLIENTS)


def request_name(series: Series) -> str:
    """Name the request a series is of, by the first label that does."""
    return next((series.labels[n] for n in _REQUEST_NAMES if n in series.labels), "")


def failing(series: Series) -> bool:
    """Whether a series counts requests that failed, by its status.

    Examples
    --------
    >>> failing(Series({"code": "503"}, "a", np.zeros(0), np.zeros(0)))
    True
    """
    if series.labels.get("expected_response") == "false":
        return True
    status = next((series.labels[n] for n in STATUS if n in series.labels), "")
    return re.fullmatch(r"[45]\d\d|[45]xx|ko|error|failed|failure|0", status.lower()) is not None


def kind_of(series: Series) -> str | None:
    """Tell what a series measures; None where that is not known or nothing of use.

    Examples
    --------
    >>> kind_of(Series({"__name__": "http_requests_in_progress"}, "a", np.zeros(0), np.zeros(0)))
    'requests in progress'
    >>> kind_of(Series({}, "checkout_p95", np.zeros(0), np.zeros(0)))
    '95th percentile of latency'
    """
    name = series.name.lower()
    if _NOTHING.match(name):
        return None
    return _gauge(name, series) or _latency(name, series) or _flow(name, series)


def _gauge(name: str, series: Series) -> str | None:
    if re.search(r"in_?-?progress|in_?-?flight|concurren|active_req|requests_active", name):
        return IN_PROGRESS
    if re.search(r"(^|[^a-z])(vus|users?|user_count|virtual_users|threads?)([^a-z]|$)", name):
        return USERS
    if re.search(r"(^|[^a-z])cpu([^a-z]|$)", name):
        fits = len(series.numbers) and np.all((series.numbers >= 0) & (series.numbers <= 1))
        return CPU if fits and not _grows(series) else None
    return None


def _latency(name: str, series: Series) -> str | None:
    if "le" in series.labels and name.endswith("_bucket"):
        return BUCKET
    if name.endswith("_sum"):
        return LATENCY_SUM if _TIME.search(name) else None
    if name.endswith(("_count", "_total")):
        return None
    tail = _tail(name, series)
    if tail is None and not re.search(r"(^|[^a-z])(mean|avg|average)([^a-z]|$)", name):
        return None
    if series.labels.get("__name__", "").startswith("k6_"):
        # k6 writes its trends over the whole test so far.
        return CUMULATIVE if "http_req_duration" in name else None
    return PERCENTILE[tail] if tail is not None else MEAN


def _tail(name: str, series: Series) -> str | None:
    try:
        quantile = float(series.labels.get("quantile", ""))
    except ValueError:
        return next((column for column, known in _TAILS if known.search(name)), None)
    return _QUANTILES.get(quantile)


def _flow(name: str, series: Series) -> str | None:
    if re.search(r"(^|[^a-z])(errors?|fail\w*|5xx)([^a-z]|$)", name):
        if re.search(r"ratio|fraction|share|percent", name) or name == "k6_http_req_failed_rate":
            return ERROR_SHARE
        return FAILURES if _counts(name, series) else FAILURE_RATE
    if _counts(name, series):
        return COUNTER if _REQUESTS.search(name) else None
    if re.search(r"(^|[^a-z])(rate\w*|rps|qps|tps|reqs|requests?|throughput)([^a-z]|$)", name):
        return RATE
    return None


def _counts(name: str, series: Series) -> bool:
    return name.endswith(("_count", "_total")) or ("__name__" in series.labels and _grows(series))


def _grows(series: Series) -> bool:
    """Whether a series only grows, but for resets, as counters do."""
    steps = np.diff(series.numbers)
    return len(steps) >= 3 and bool(np.mean(steps >= 0) > 0.95) and bool(series.numbers[-1] > series.numbers[0])
