"""Faults as they are written, and what they do to a script and a world."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from capacity.errors import UsageError
from capacity.plan.sizing import survivors
from capacity.rehearsal import FAULTS, rehearse
from capacity.rehearsal.build import build_world, fleet_of
from capacity.rehearsal.faults import Fault, Moment, describe_faults, parse_faults
from capacity.rehearsal.script import build_script
from capacity.rehearsal.stage import MOST_S, set_stage

SERVICES = ("checkout", "payment", "odd@peak:2", "a:0.5")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("zone-loss", Fault("zone-loss", None, 0.0)),
        ("zone-loss=2@peak", Fault("zone-loss", None, 2.0, Moment("peak"))),
        ("zone-loss@start+30/60", Fault("zone-loss", None, 0.0, Moment("start", 30), 60)),
        ("demand=1.5", Fault("demand", None, 1.5)),
        ("demand=1.5@-30", Fault("demand", None, 1.5, Moment("start", -30))),
        ("slow-downstream=payment", Fault("slow-downstream", "payment", 0.3, Moment("peak", -60), 360)),
        ("slow-downstream=payment:0.5@peak-30/120", Fault("slow-downstream", "payment", 0.5, Moment("peak", -30), 120)),
        ("slow-downstream=odd@peak:2", Fault("slow-downstream", "odd@peak:2", 0.3, Moment("peak", -60), 360)),
        ("slow-downstream=a:0.5", Fault("slow-downstream", "a:0.5", 0.3, Moment("peak", -60), 360)),
        ("limiter-loss=checkout@peak", Fault("limiter-loss", "checkout", 1.0, Moment("peak"))),
        ("hot-key=checkout:6", Fault("hot-key", "checkout", 6.0)),
    ],
)
def test_faults_are_read_as_they_are_written(text, fault):
    assert parse_faults([text], services=SERVICES).found == (fault,)


@pytest.mark.parametrize(
    "text",
    [
        "zone-lost", "zone-loss=x", "zone-loss@peek", "demand", "demand=0", "demand=nan", "demand=2000",
        "slow-downstream", "slow-downstream=paymnt", "slow-downstream=payment:2", "third-party-down=payment:0.5",
        "limiter-loss=chekout", "zone-loss@peak/", "retry-storm@",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(text):
    with pytest.raises(UsageError) as caught:
        parse_faults([text, "zone-loss"], services=SERVICES)
    assert len(caught.value.problems) == 1
    assert text in str(caught.value)


def test_every_fault_is_described():
    lines = describe_faults().splitlines()
    assert [line.split("=")[0].split("[")[0].split(":")[0] for line in lines] == list(FAULTS)


def setting(plan, *texts):
    faults = parse_faults(texts, services=plan.services.names)
    stage = set_stage(plan.peaks, plan.document)
    return faults, stage, fleet_of(plan), np.arange(5)


def scripted(plan, *texts):
    faults, stage, fleet, sample = setting(plan, *texts)
    return build_script(plan, fleet, stage, sample, faults, noise=False, seed=0), stage, fleet


def test_a_zone_can_be_lost_in_the_middle(plan):
    whole, stage, fleet = scripted(plan)
    struck = scripted(plan, "zone-loss@peak")[0]
    at = stage.place(stage.worst_s)
    assert (struck.instances[:at] == whole.instances[:at]).all()
    left = [survivors(whole.instances[at, p], fleet.zones[p], fleet.losses[p]) for p in range(len(fleet.pools))]
    assert struck.instances[at].tolist() == left
    assert (struck.instances[at] < whole.instances[at]).any()
    back = scripted(plan, "zone-loss@peak/60")[0]
    assert (back.instances[stage.place(stage.worst_s + 60)] == whole.instances[stage.place(stage.worst_s + 60)]).all()


def test_late_scale_up_waits_for_each_service_to_start(plan):
    late, stage, fleet = scripted(plan, "late-scale-up")
    planned = scripted(plan)[0]
    host = fleet.pools.index("web")
    grown = planned.instances[stage.place(0), host]
    started = int(fleet.startup_s[host])
    assert started == 240
    assert late.instances[stage.place(started - 1), host] == fleet.now[host] < grown
    assert late.instances[stage.place(started), host] == grown
    named = scripted(plan, "late-scale-up=checkout")[0]
    assert (named.instances[:, host] == planned.instances[:, host]).all()
    assert (named.instances != planned.instances).any()


def test_cold_caches_can_be_those_of_one_service(plan):
    faults, _, fleet, sample = setting(plan, "cold-cache=catalog")
    world = build_world(plan, fleet, sample, faults)
    colder = world.network.cold_calls > world.network.calls
    assert colder.any()
    assert {fleet.names[i] for i in world.network.callee[colder]} == {"catalog"}
    none = build_world(plan, fleet, sample, parse_faults(["cold-cache=payment"], services=plan.services.names))
    assert (none.network.cold_calls == none.network.calls).all()


def test_limits_are_those_of_the_document(plan):
    faults, _, fleet, sample = setting(plan)
    document = {**plan.document, "services": {k: dict(v) for k, v in plan.document["services"].items()}}
    document["services"]["checkout"]["burst_requests"] = 77.0
    document["edges"] = [{**edge, "retry_budget_qps": 5.0} for edge in plan.document["edges"]]
    given = build_world(type(plan)(document, plan.peaks, plan.curves, plan.services), fleet, sample, faults).guards
    s, web = fleet.names.index("checkout"), fleet.names.index("web")
    assert given.cluster_burst[s] == 77.0
    assert given.cluster_burst[web] == pytest.approx(0.1 * given.cluster_qps[web])
    assert (given.budget_qps == 5.0).all()
    assert np.isinf(given.instance_qps).all()
    both = build_world(plan, fleet, sample, faults, limits="instance-and-cluster").guards
    entry = plan.document["services"]["checkout"]
    assert both.instance_qps[s] == entry["instance_limit_no_false_reject_qps"] > entry["instance_limit_qps"]
    assert build_world(plan, fleet, sample, faults, limits="instance").guards.instance_qps[s] == pytest.approx(
        entry["instance_limit_qps"]
    )


def test_the_stage_has_every_change_inside_the_phases(plan):
    stage = set_stage(plan.peaks, plan.document)
    promotion = plan.peaks.promotion
    begins = [p.starts_at for p in promotion.phases if p.name in plan.peaks.phases]
    end = max(p.ends_at for p in promotion.phases if p.name in plan.peaks.phases)
    steps = [
        datetime.fromisoformat(step["ready_by"])
        for entry in plan.document["services"].values()
        for step in entry["scale_schedule"]
    ]
    changes = [moment for moment in [*begins, *steps] if min(begins) <= moment < end]
    assert len(changes) > len(begins)
    played = set(stage.seconds.tolist())
    for moment in changes:
        assert round((moment - promotion.starts_at) / timedelta(seconds=1)) in played
    for second in np.median(plan.peaks.peak_at_s.values[:, :, 0], axis=0):
        assert int(second) in played
    assert stage.length <= MOST_S
    assert (np.diff(stage.seconds) > 0).all()


def test_limits_under_skew_turn_more_away_when_each_instance_has_its_own(plan):
    """The variant that is safe alone rejects falsely; the other, with the cluster's limit beside it, hardly does."""
    given = {"faults": ["demand=1.25"], "n_paths": 10, "mend": False, "skew": 0.3}
    cluster, safe, free = (
        rehearse(plan, limits=limits, **given).turned_away_fraction
        for limits in ("cluster", "instance", "instance-and-cluster")
    )
    assert safe > free >= cluster


def test_what_may_be_asked_of_limits_is_checked(plan):
    with pytest.raises(UsageError, match="limits"):
        rehearse(plan, limits="all")
    with pytest.raises(UsageError, match="skew"):
        rehearse(plan, skew=2.0)
