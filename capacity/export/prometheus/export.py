"""The files of the target ``prometheus``."""

from capacity.export.prometheus.alerts import find_alerts
from capacity.export.prometheus.constants import phase_rules, rung_rules, service_rules, window_rule
from capacity.export.prometheus.measures import measure_rules
from capacity.export.prometheus.rule import write_groups
from capacity.export.prometheus.unit_tests import rules_test, window_tests
from capacity.export.source import Export, Source

WINDOW_FILE, RULES_FILE = "capacity_window.yml", "capacity_rules.yml"
RULES_TEST = "capacity_rules_test.yml"


def export_prometheus(source: Source) -> Export:
    """Make recording and alert rules, and the unit tests that ``promtool test rules`` runs."""
    header = source.header()
    every = f"{max(round(source.settings.monitoring.scrape_interval_s), 1)}s"
    alerts = find_alerts(source)
    files = {
        WINDOW_FILE: write_groups(header, {"capacity_window": (every, [window_rule(source), *phase_rules(source)])}),
        RULES_FILE: write_groups(
            header,
            {
                "capacity_plan": (every, [*service_rules(source), *rung_rules(source)]),
                "capacity_measures": (every, measure_rules(source.settings.monitoring)),
                "capacity_alerts": (every, [alert.rule() for alert in alerts]),
            },
        ),
        RULES_TEST: rules_test(source, alerts, RULES_FILE),
    }
    edges = window_tests(source, WINDOW_FILE)
    files |= {f"capacity_window_{word}_test.yml": text for word, text in edges.items()}
    warnings = ["rates are means over a minute: single worst seconds are higher, and no alert here sees them"]
    if not source.settings.monitoring.rejected:
        warnings.append("what limits turn away is not recorded: capacity counts as used by it")
    return Export(
        "prometheus", files, warnings=tuple(warnings),
        next_steps=(
            f"promtool check rules {WINDOW_FILE} {RULES_FILE}",
            "promtool test rules capacity_*_test.yml",
            "put the two rule files under rule_files of prometheus.yml and reload it",
        ),
    )  # fmt: skip
