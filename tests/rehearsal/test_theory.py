"""Where theory exists the simulator agrees with it: token buckets, M/M/c, Jackson, ramps, drains, retries."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.graph.retries import attempts
from capacity.plan.sharing import Sharing
from capacity.rehearsal.bucket import admit
from capacity.rehearsal.fluid import serve
from capacity.rehearsal.simulate import Script, simulate
from capacity.rehearsal.waits import mean_wait_s
from tests.rehearsal.worlds import script, world


@given(rate=st.floats(0.1, 1000), burst=st.floats(0, 500), seed=st.integers(0, 10_000), seconds=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_a_bucket_admits_at_most_rate_times_time_and_the_burst(rate, burst, seed, seconds):
    offered = np.random.default_rng(seed).exponential(2 * rate, seconds)
    tokens, total = np.array([burst]), 0.0
    for second in range(seconds):
        admitted, tokens = admit(tokens, offered[second : second + 1], rate=np.array([rate]), burst=np.array([burst]))
        assert 0 <= admitted[0] <= offered[second]
        total += admitted[0]
    assert total <= rate * seconds + burst + 1e-6


def test_a_flooded_bucket_admits_exactly_that():
    tokens, total = np.array([30.0]), 0.0
    for _ in range(50):
        admitted, tokens = admit(tokens, np.array([1e9]), rate=np.array([7.0]), burst=np.array([30.0]))
        total += admitted[0]
    assert total == pytest.approx(7 * 50 + 30)


def test_no_limit_admits_everything():
    admitted, tokens = admit(np.array([np.inf]), np.array([5.0]), rate=np.array([np.inf]), burst=np.array([np.inf]))
    assert admitted == 5.0
    assert np.isinf(tokens)


def test_mean_wait_at_the_edges():
    assert mean_wait_s([0.0, 5.0, 4.0], servers=4, server_rate=1.0).tolist() == [0.0, np.inf, np.inf]
    # one server: ρ / (μ − λ)
    assert float(mean_wait_s(0.5, servers=1, server_rate=1.0)) == pytest.approx(1.0)


def test_a_jackson_network_carries_its_traffic_equations():
    """λ = (I − Pᵀ)⁻¹ λ_ext at every service, when nothing is overloaded."""
    edges = [(0, 1, 0.5), (0, 2, 2.0), (1, 2, 1.0), (2, 3, 0.25)]
    trace = simulate(world(edges, [1000] * 4, size=4), script(np.full(100, 100.0), size=4))
    expected = np.array([100.0, 50.0, 250.0, 62.5])
    assert trace.arrived[0] / 100 == pytest.approx(expected, rel=1e-6)
    assert trace.timeline["served"][5, 1] == pytest.approx(expected, rel=1e-5)
    assert not trace.overloaded.any()


def test_a_broker_ramps_and_drains_like_a_fluid_queue():
    """1,000 s at 30/s into 20/s leave 10,000 waiting, gone 500 s later."""
    rate = np.concatenate([np.full(1000, 30.0), np.zeros(700)])
    found = simulate(world([(0, 1, 1.0)], [1000, 20], size=2, queued=(0,), delay=[np.inf, 100.0]), script(rate, size=2))
    waiting = found.timeline["backlog"][:, 1, 1]
    assert waiting[99] == pytest.approx(10_000, rel=0.01)
    assert waiting[149] == pytest.approx(0, abs=250)
    assert waiting[155] == 0
    assert found.overloaded[0, 1]  # it waits 500 s, which is more than 100 s
    calm = world([(0, 1, 1.0)], [1000, 20], size=2, queued=(0,), delay=[np.inf, 600.0])
    assert not simulate(calm, script(rate, size=2)).overloaded.any()


@pytest.mark.parametrize("retries", [1, 2, 5])
@pytest.mark.parametrize("chance", [0.05, 0.5, 1.0])
def test_retries_make_exactly_the_attempts_of_theory(retries, chance):
    """Each request of the middle needs the gone service with a chance p: p of its attempts fail."""
    factor = np.ones((300, 3))
    factor[:, 2] = 0.0
    gone = world([(0, 1, 1.0), (1, 2, chance)], [1e6, 1e6, 100], size=3, retries=[retries, 0])
    found = simulate(gone, script(np.full(300, 50.0), size=3, factor=factor, budget=np.inf), dtype=np.float64)
    settled = 300 - retries  # the first seconds lack what comes back later
    expected = 50 * float(attempts(chance, retries))
    assert found.arrived[0, 1] == pytest.approx(expected * settled + _ramp(50, chance, retries), rel=1e-9)


def _ramp(rate, chance, retries):
    """Attempts of the first seconds, in which later attempts are not there yet."""
    return sum(rate * sum(chance**k for k in range(second + 1)) for second in range(retries))


def test_a_budget_cuts_retries_to_its_share():
    factor = np.ones((300, 2))
    factor[:, 1] = 0.0
    gone = world([(0, 1, 1.0)], [1e6, 100], size=2, retries=[3])
    held = simulate(gone, script(np.full(300, 50.0), size=2, factor=factor, budget=0.1), dtype=np.float64)
    assert held.arrived[0, 1] == pytest.approx(50 * (300 + 0.1 * 299), rel=1e-9)
    absolute = replace(gone, guards=replace(gone.guards, budget_qps=np.array([7.0])))
    given = simulate(absolute, script(np.full(300, 50.0), size=2, factor=factor, budget=0.1), dtype=np.float64)
    assert given.arrived[0, 1] == pytest.approx(50 * 300 + 7 * 299, rel=1e-9)


def test_a_call_fails_only_when_all_its_attempts_do():
    """Behind three attempts of which each fails with a half, an eighth of the callers fail."""
    factor = np.ones((200, 3))
    factor[:, 2] = 0.0
    edges = [(0, 1, 1.0), (1, 2, 0.04)]
    without = simulate(
        world(edges, [1e6, 1e6, 10], size=3), script(np.full(200, 50.0), size=3, factor=factor, budget=np.inf)
    )
    with_retries = simulate(
        world(edges, [1e6, 1e6, 10], size=3, retries=[2, 0]),
        script(np.full(200, 50.0), size=3, factor=factor, budget=np.inf),
    )
    # 4 % is below, 6 % would be above what counts as affected.
    assert not without.affected[0, 0]
    more = simulate(
        world([(0, 1, 1.0), (1, 2, 0.06)], [1e6, 1e6, 10], size=3), script(np.full(200, 50.0), size=3, factor=factor)
    )
    assert more.affected[0, 0]
    assert not with_retries.affected[0, 0]
    assert with_retries.affected[0, 2]


@given(
    queue=st.integers(0, 300), inflow=st.integers(0, 500), capacity=st.integers(1, 300), timeout=st.floats(0.01, 2),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_second_of_fluid_agrees_with_many_short_steps(queue, inflow, capacity, timeout):
    queue = min(queue, 2 * capacity * timeout)
    done, left, good = (
        float(v[0])
        for v in serve(
            *(np.array([float(v)]) for v in (queue, inflow)), capacity=np.array([float(capacity)]), timeout_s=timeout
        )
    )
    steps, waiting, answered = 2_000, queue, 0.0
    for _ in range(steps):
        answered += inflow / steps * (waiting <= capacity * timeout)
        waiting = min(max(waiting + (inflow - capacity) / steps, 0.0), 2 * capacity * timeout)
    assert left == pytest.approx(waiting, abs=max(inflow, capacity) / steps + 1e-6)
    assert good == pytest.approx(answered, abs=4 * inflow / steps + 1e-6)
    assert done == pytest.approx(min(queue + inflow, capacity))


def test_limits_of_callers_hold_their_calls_alone():
    """Of 100 calls/s the caller may make 60; the callee's other caller is not touched."""
    edges = [(0, 1, 1.0), (0, 2, 1.0), (2, 1, 1.0)]
    open_world = world(edges, [1e6] * 3, size=3)
    guards = replace(
        open_world.guards, edge_qps=np.array([60.0, np.inf, np.inf]), edge_burst=np.array([6.0, np.inf, np.inf])
    )
    found = simulate(replace(open_world, guards=guards), script(np.full(100, 100.0), size=3), dtype=np.float64)
    assert found.rejected[0].tolist() == pytest.approx([0, 40 * 100 - 6, 0])
    assert found.arrived[0, 1] == pytest.approx(200 * 100)  # what is turned away counts as asked for
    assert found.affected[0, 0]


def test_a_cluster_limit_admits_rate_times_time_and_the_burst():
    flooded = world([], [1e6], size=1)
    flooded = replace(flooded, guards=flooded.guards.with_cluster(np.array([70.0]), np.array([300.0])))
    found = simulate(flooded, script(np.full(50, 1e5), size=1), dtype=np.float64)
    assert found.arrived[0, 0] - found.rejected[0, 0] == pytest.approx(70 * 50 + 300)


def test_a_hot_key_is_cut_to_what_one_key_takes_and_nothing_else_is():
    """A fifth of 1,000/s is the hottest key's, which may take 120/s: 80/s are turned away; without, the shard fails."""
    one = world([], [2000], size=1)
    roofed = replace(one, key_roof_qps=np.array([600.0]))
    guarded = replace(roofed.guards, key_qps=np.array([120.0]), key_share=np.array([0.2]))
    found = simulate(replace(roofed, guards=guarded), script(np.full(100, 1000.0), size=1), dtype=np.float64)
    assert found.rejected[0, 0] == pytest.approx(80 * 100 - 12)
    assert not found.broken.any()
    assert found.overloaded.all()  # before any limit
    assert simulate(roofed, script(np.full(100, 1000.0), size=1)).broken.all()


def test_limits_can_be_lost_by_name_and_for_a_while():
    rate = np.full(100, 150.0)
    on = np.ones(100, dtype=bool)
    on[40:60] = False
    limited = world([(0, 1, 1.0)], [1000, 1000], size=2, limit=[100.0, 90.0])
    frail = replace(limited, guards=replace(limited.guards, frail=np.array([True, False])))
    found = simulate(frail, script(rate, size=2, limited=on), dtype=np.float64)
    assert found.rejected[0, 0] == pytest.approx(
        50 * 80 - 10 - 10, abs=1.0
    )  # a full bucket at first and after the loss
    assert found.rejected[0, 1] == pytest.approx(10 * 80 + 60 * 20, abs=40)


def test_instances_admit_under_skew_what_the_textbook_says():
    """Three instances, limit 100, shares 40/33/27: 93.33 by the variant that is safe alone, 100 by the other."""
    three = world([], [1000], size=1)
    safe = _per_instance(three, qps=100 / 3)
    free = _per_instance(three, qps=40.0, cluster=100.0)
    for limited, admitted in ((safe, 93.0 + 1 / 3), (free, 100.0)):
        found = simulate(limited, script(np.full(1000, 100.0), size=1, instances=3), dtype=np.float64)
        assert (found.arrived - found.rejected)[0, 0] / 1000 == pytest.approx(admitted, rel=1e-3)


def _per_instance(base, *, qps, cluster=np.inf, wobble=False, skew=0.2, burst=0.0):
    guards = replace(
        base.guards, instance_qps=np.array([qps]), instance_burst=np.array([burst]), skew=skew, wobble=wobble,
        cluster_qps=np.array([cluster]), cluster_burst=np.array([cluster * 0.1]),
    )  # fmt: skip
    return replace(base, guards=guards)


@pytest.mark.parametrize(("rate", "skew", "burst"), [(240.0, 0.0, 2.0), (280.0, 0.2, 5.0), (330.0, 0.1, 1.0)])
def test_instances_admit_what_single_requests_sent_at_random_get(rate, skew, burst):
    """Nine instances of 33/s each: multinomial shares, one bucket an instance, one request at a time."""
    seconds, n, limit = 400, 9, 33.0
    limited = _per_instance(world([], [1e6], size=1), qps=limit, wobble=True, skew=skew, burst=burst)
    found = simulate(limited, script(np.full(seconds, rate), size=1, instances=n), dtype=np.float64)
    fluid = float((found.arrived - found.rejected)[0, 0]) / seconds
    rng = np.random.default_rng(7)
    weights = np.repeat(1.0 + skew * np.array([1.0, 0.0, -1.0]), n // 3) / n
    let, tokens = 0, np.full(n, burst)
    for _ in range(seconds):
        counts = rng.multinomial(int(rate), weights)
        held = tokens + limit
        passed = np.minimum(counts, held)
        let += passed.sum()
        tokens = np.minimum(held - passed, burst)
    assert fluid == pytest.approx(let / seconds, rel=0.015)  # tokens are followed in their mean


def test_a_limit_at_capacity_keeps_goodput_and_its_loss_lets_it_collapse():
    rate = np.full(300, 150.0)
    limited = simulate(world([], [100], size=1, limit=[100.0]), script(rate, size=1))
    assert limited.first_break_s[0, 0] == -1
    assert limited.rejected[0, 0] == pytest.approx(50 * 300, rel=0.01)
    lost = simulate(world([], [100], size=1, limit=[100.0]), script(rate, size=1, limited=np.zeros(300, dtype=bool)))
    assert 0 <= lost.first_break_s[0, 0] < 10
    assert lost.overloaded[0, 0]
    assert limited.overloaded[0, 0]  # limits never make overload less


def test_overload_without_a_budget_stays_after_its_cause_is_gone():
    """80 % use is calm; a dip of 40 s starts retries that keep it broken: metastable. With a budget it recovers."""
    factor = np.ones((900, 2))
    factor[100:140, 1] = 0.3
    rate = np.full(900, 80.0)
    edges, size = [(0, 1, 1.0)], 2
    stuck = simulate(
        world(edges, [1e6, 100], size=size, retries=[3]), script(rate, size=size, factor=factor, budget=np.inf)
    )
    assert stuck.stuck_s[0, 1] > 600
    calm = simulate(
        world(edges, [1e6, 100], size=size, retries=[3]), script(rate, size=size, factor=factor, budget=0.1)
    )
    assert calm.stuck_s[0, 1] < 60
    assert calm.last_break_s[0, 1] < 250


def test_pools_serve_whoever_needs_it():
    """Two services of one pool of ten: 6 and 3 instances' worth fit together, 6 and 5 do not."""
    shared = world([(0, 1, 0.5)], [10, 10], size=2)
    shared = replace(shared, pool=np.array([0, 0]))
    fits = Script(np.full((1, 1, 50), 60.0), np.full((50, 1), 10), np.ones((50, 2)), np.ones(50))
    assert not simulate(shared, fits).overloaded.any()
    full = Script(np.full((1, 1, 50), 75.0), np.full((50, 1), 10), np.ones((50, 2)), np.ones(50))
    assert simulate(shared, full).overloaded.all()


def test_callers_come_before_callees():
    levels = world([(2, 1, 1.0), (1, 0, 1.0), (2, 0, 1.0)], [1, 1, 1], size=3).levels
    assert [level.tolist() for level in levels] == [[2], [1], [0]]


def test_instances_that_share_serve_less():
    """Ten instances of which each slows the others by a twentieth are worth 10 / 1.45."""
    alone = world([], [10], size=1)
    sharing = Sharing(np.array([0]), np.full((1, 1), 0.05), np.zeros((1, 1)), np.array([1]), np.array([10]))
    shared = replace(alone, sharing=sharing)
    for rate, over in ((65.0, False), (75.0, True)):
        script = Script(np.full((1, 1, 50), rate), np.full((50, 1), 10), np.ones((50, 1)), np.ones(50))
        assert simulate(shared, script).overloaded.any() == over
        assert not simulate(alone, script).overloaded.any()
