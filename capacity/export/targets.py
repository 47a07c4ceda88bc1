"""The targets of ``capacity export``, in the order in which one sets them up, imported when asked for."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from capacity.errors import UsageError, did_you_mean
from capacity.export.source import Export, Source

TARGETS: Mapping[str, tuple[str, str]] = {
    "prometheus": ("prometheus:export_prometheus", "recording and alert rules, with their unit tests"),
    "nginx": ("nginx:export_nginx", "limits per instance and each gateway's share of the cluster's"),
    "envoy": ("envoy:export_envoy", "local rate limits and descriptors of a global one"),
    "kubernetes": ("kubernetes:export_kubernetes", "autoscalers, disruption budgets, quota, and KEDA's cron"),
    "sentinel": ("sentinel:export_sentinel", "flow, cluster, degrade and system rules"),
    "flagd": ("flagd:export_flagd", "switches of the degradation ladder"),
    "icalendar": ("icalendar:export_icalendar", "phases, freeze, meetings, roster, drills"),
    "grafana": ("grafana:export_grafana", "dashboards of the evening"),
    "alertmanager": ("alertmanager:export_alertmanager", "routes and intervals"),
    "haproxy": ("haproxy:export_haproxy", "limits per instance and cluster share"),
    "chaostoolkit": ("chaostoolkit:export_chaostoolkit", "drills as experiments"),
    "openslo": ("openslo:export_openslo", "service level objectives"),
    "freeze": ("freeze:export_freeze", "freeze windows for GitLab and Argo CD"),
    "backstage": ("backstage:export_backstage", "the catalogue as entities"),
}
"""Target: its function in this package, and what it gives."""


def make_export(source: Source, target: str) -> Export:
    """Make the files of one target.

    Parameters
    ----------
    source
        The plan and what stands around it.
    target
        A name of ``TARGETS``.

    Raises
    ------
    UsageError
        If there is no such target.
    InputError
        If the plan holds something that the target cannot take.
    """
    if target not in TARGETS:
        hint = did_you_mean(target, TARGETS)
        raise UsageError(
            f"--to: got {target!r}, expected one of {', '.join(TARGETS)}", remedy=hint or "choose one of them"
        )
    module, _, name = TARGETS[target][0].partition(":")
    made: Export = getattr(import_module(f"capacity.export.{module}"), name)(source)
    return replace(made, plan={key: str(source.document[key]) for key in ("promotion", "as_of", "signature")})
