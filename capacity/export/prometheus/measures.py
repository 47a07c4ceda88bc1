"""What is measured, by service, under names of its own: everything else stands on these."""

from collections.abc import Iterator

from capacity.export.prometheus.rule import Rule, record
from capacity.settings import Monitoring

BURN_WINDOWS = ("5m", "30m", "1h", "6h")


def rate_window_s(names: Monitoring) -> int:
    """Return over how many seconds a rate is taken: four scrapes, as one may be late; a minute at least."""
    return max(round(4 * names.scrape_interval_s), 60)


def measure_rules(names: Monitoring) -> Iterator[Rule]:
    """Yield rates, shares, latency and instances by service."""
    over = f"{rate_window_s(names)}s"
    yield _named(names, "capacity:requests:rate", _rate(names, names.requests, over), "[monitoring] requests")
    if names.rejected:
        yield _named(names, "capacity:rejected:rate", _rate(names, names.rejected, over), "[monitoring] rejected")
        yield record("capacity:rejected:ratio", "capacity:rejected:rate / capacity:requests:rate")
    if names.errors:
        for window in BURN_WINDOWS:
            expr = f"{_rate(names, names.errors, window)} / {_rate(names, names.requests, window)}"
            yield _named(names, f"capacity:errors:ratio{window}", expr, "[monitoring] errors ÷ requests")
    if names.latency_buckets:
        for share in ("0.95", "0.99"):
            by = f"sum by ({names.service_label}, le) (rate({names.latency_buckets}[{over}]))"
            expr = f"histogram_quantile({share}, {by})"
            yield _named(names, "capacity:latency_seconds", expr, "[monitoring] latency_buckets", quantile=share)
    if names.instances:
        expr = f"count by ({names.service_label}) ({names.instances})"
        yield _named(names, "capacity:instances", expr, "[monitoring] instances")
    if names.cpu_fraction:
        expr = f"avg by ({names.service_label}) ({names.cpu_fraction})"
        yield _named(names, "capacity:cpu_fraction", expr, "[monitoring] cpu_fraction")
    yield record("capacity:limit_used:ratio", "capacity:requests:rate / on (service) group_left () capacity:limit_qps")


def _rate(names: Monitoring, selector: str, over: str) -> str:
    return f"sum by ({names.service_label}) (rate({selector}[{over}]))"


def _named(names: Monitoring, series: str, expr: str, comment: str, **labels: str) -> Rule:
    """Give the series the label ``service``, whatever it is called in the company."""
    if names.service_label != "service":
        expr = f'label_replace({expr}, "service", "$1", "{names.service_label}", "(.+)")'
    return record(series, expr, labels=labels or None, comment=f"capacity.toml {comment}")
