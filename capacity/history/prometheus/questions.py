"""What is asked of Prometheus for each column of ``traffic``.

A counter's growth over a step is ``increase``: resets are taken out, and what lies between the last reading and the
step's edge is extrapolated (Prometheus's documentation, "Query functions"). The first readings of a new series are
missed: a counter that is born with a value is not known to have grown to it.
"""

from dataclasses import dataclass

from capacity.settings import Monitoring


@dataclass(frozen=True)
class Question:
    """One column of ``traffic`` as an expression with a value a service.

    Attributes
    ----------
    column
        Of the table.
    expression
        In PromQL, looking back over one step.
    whole
        Whether it counts.
    """

    column: str
    expression: str
    whole: bool = False


def traffic_questions(names: Monitoring, *, step_s: float) -> tuple[Question, ...]:
    """Return what to ask, ``requests`` first.

    Parameters
    ----------
    names
        What things are called there; an empty name is not asked for.
    step_s
        Length of an interval.

    Examples
    --------
    >>> traffic_questions(Monitoring(), step_s=60)[0].expression
    'sum by (service) (increase(http_requests_total[60s]))'
    """
    over, by = f"[{round(step_s)}s]", f"by ({names.service_label})"
    asked = [
        Question(column, f"sum {by} (increase({selector}{over}))", whole=True)
        for column, selector in (("requests", names.requests), ("errors", names.errors), ("rejected", names.rejected))
        if selector
    ]
    if names.latency_buckets:
        buckets = f"sum by ({names.service_label}, le) (rate({names.latency_buckets}{over}))"
        asked += [
            Question(f"p{share}_ms", f"1000 * histogram_quantile({share / 100:g}, {buckets})") for share in (50, 95, 99)
        ]
    if names.cpu_fraction:
        asked.append(
            Question("cpu_fraction", f"avg {by} (avg_over_time(({names.cpu_fraction}){_every(names, step_s)}))")
        )
    if names.instances:
        most = f"max_over_time((count {by} ({names.instances})){_every(names, step_s)})"
        asked.append(Question("instances", most, whole=True))
    return tuple(asked)


def _every(names: Monitoring, step_s: float) -> str:
    return f"[{round(step_s)}s:{max(round(min(names.scrape_interval_s, step_s)), 1)}s]"
