"""What an empty workspace starts with."""

from collections.abc import Mapping

SETTINGS_FILE = "capacity.toml"
PROMOTIONS_FILE = "data/promotions.yaml"
SERVICES_FILE = "data/services.yaml"
LESSONS_FILE = "data/lessons.yaml"
OPERATIONS_FILE = "data/operations.yaml"

EMPTY: Mapping[str, str] = {
    SETTINGS_FILE: """\
timezone = "Asia/Shanghai"   # IANA name; times without an offset are in it
currency = "CNY"
country = "CN"               # holiday calendar; leave out for none

[risk]
overload_probability = 0.05            # that any core service is overloaded during the promotion, jointly
non_core_overload_probability = 0.2    # the same over the non-core services
zone_losses = 1                        # zones that may be lost at the peak
utilization_ceiling = 1.0              # share of the capacity at the SLO that a plan may use
""",
    PROMOTIONS_FILE: """\
# Every past and coming promotion, one entry each; docs/formats.md explains every key.
# - id: 2026-double11
#   kind: double11                       # promotions of one kind are comparable with each other
#   starts_at: 2026-11-10T20:00+08:00
#   ends_at: 2026-11-12T00:00+08:00
#   expected: {dat: {low: 1.1e6, mid: 1.4e6, high: 1.9e6}, owner: growth-team, signed_at: 2026-10-12}
[]
""",
    SERVICES_FILE: """\
# The service catalogue and its call graph; `capacity services draft` proposes it from ingested traffic.
# - name: checkout
#   tier: core                           # core | non_core | degradable
#   instances: 24
#   zones: 3
#   slo: {p99_ms: 300}
#   entry: {per_dat: 3.2}
#   calls: [{to: inventory, per_request: 2.0, retries: 2, timeout_ms: 200}]
[]
""",
}
