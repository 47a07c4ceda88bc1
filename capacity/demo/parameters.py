"""The parameters of one company, drawn once per seed; `capacity.demo` documents the process they enter."""

from dataclasses import dataclass

from capacity.demo.randomness import log_uniform, stream

SEGMENTS = ("app", "mini-program", "web")

# Order of strength of the kinds relative to double11, in log uplift. Sources differ; the order does not.
KIND_SCALE = {"double11": 1.0, "618": 0.72, "double12": 0.5, "womens-day": 0.36}


@dataclass(frozen=True)
class DemandParameters:
    """Ordinary days: level, growth, seasons, noise (log scale, per year where a rate)."""

    dau: float
    segment_share: tuple[float, ...]
    segment_growth: tuple[float, ...]
    conversion: tuple[float, ...]
    conversion_growth: float
    overlap: float
    slope_wander: float
    weekend_dau: tuple[float, ...]
    weekend_conversion: float
    yearly_amplitude: float
    yearly_phase: float
    holiday_scale: float
    shared_noise: float
    conversion_noise: float
    segment_noise: float
    noise_memory: float
    break_size: float


@dataclass(frozen=True)
class EventParameters:
    """Promotions: uplift of the kind double11 in its first year, growth, and variance between events (log scale)."""

    log_dau: float
    log_dat: float
    dau_growth: float
    dat_growth: float
    dau_shock: float
    dat_shock: float
    segment_shock: float
    browse: float
    browse_shock: float
    opening_ratio: float
    opening_growth: float
    opening_shock: float
    before_dip: float
    waiting_dip: float
    after_dip: float
    time_constants_s: tuple[float, float, float]
    shape_shock: float
    end_share: float
    burst_shock: float
    fanout_shock: float
    entry_ratio: dict[str, float]


@dataclass(frozen=True)
class EstimateParameters:
    """The business's estimates: log bias and log noise of DAU, DAT and peak TPS."""

    bias: dict[str, float]
    noise: dict[str, float]


@dataclass(frozen=True)
class Parameters:
    """Everything that holds for the company as a whole."""

    seed: int
    demand: DemandParameters
    events: EventParameters
    estimates: EstimateParameters
    second_noise: dict[str, float]
    minute_noise: float
    hour_noise: float
    mix_noise: float
    latency_noise: float


def draw_parameters(seed: int) -> Parameters:
    """Draw the parameters of the company of this seed.

    Examples
    --------
    >>> draw_parameters(3) == draw_parameters(3)
    True
    >>> 1e5 <= draw_parameters(3).demand.dau <= 1e7
    True
    """
    rng = stream(seed, "parameters")
    demand, events = _draw_demand(seed), _draw_events(seed)
    entries = ("home", "search", "product-detail", "cart", "checkout", "user")
    return Parameters(
        seed=seed,
        demand=demand,
        events=events,
        estimates=EstimateParameters(
            bias={"dau": rng.normal(0.03, 0.06), "dat": rng.normal(0.10, 0.12), "peak_tps": rng.normal(-0.05, 0.20)},
            noise={"dau": 0.05, "dat": 0.12, "peak_tps": 0.20},
        ),
        second_noise={name: log_uniform(rng, 0.03, 0.10) for name in entries},
        minute_noise=rng.uniform(0.015, 0.03),
        hour_noise=rng.uniform(0.01, 0.025),
        mix_noise=rng.uniform(0.01, 0.02),
        latency_noise=rng.uniform(0.03, 0.06),
    )


def _draw_demand(seed: int) -> DemandParameters:
    rng = stream(seed, "parameters", "demand")
    growth = rng.uniform(-0.02, 0.16)
    web, mini = rng.uniform(0.07, 0.14), rng.uniform(0.16, 0.28)
    return DemandParameters(
        dau=log_uniform(rng, 1e5, 1e7),
        segment_share=(1 - web - mini, mini, web),
        segment_growth=(growth, growth + rng.uniform(0.02, 0.12), growth - rng.uniform(0.05, 0.15)),
        conversion=(rng.uniform(0.04, 0.08), rng.uniform(0.03, 0.06), rng.uniform(0.02, 0.04)),
        conversion_growth=rng.normal(0.01, 0.02),
        overlap=rng.uniform(0.06, 0.14),
        slope_wander=rng.uniform(0.02, 0.05),
        weekend_dau=(rng.uniform(0.01, 0.05), rng.uniform(0.0, 0.04), rng.uniform(-0.18, -0.08)),
        weekend_conversion=rng.uniform(-0.04, 0.03),
        yearly_amplitude=rng.uniform(0.02, 0.06),
        yearly_phase=rng.uniform(-0.5, 0.5),
        holiday_scale=log_uniform(rng, 0.75, 1.3),
        shared_noise=rng.uniform(0.012, 0.025),
        conversion_noise=rng.uniform(0.02, 0.04),
        segment_noise=rng.uniform(0.008, 0.016),
        noise_memory=rng.uniform(0.7, 0.9),
        break_size=float(rng.choice([-1, 1])) * rng.uniform(0.05, 0.12),
    )


def _draw_events(seed: int) -> EventParameters:
    rng = stream(seed, "parameters", "events")
    return EventParameters(
        log_dau=rng.uniform(0.35, 0.60),
        log_dat=rng.uniform(1.5, 2.1),
        dau_growth=rng.uniform(0.01, 0.04),
        dat_growth=rng.uniform(0.03, 0.10),
        dau_shock=rng.uniform(0.04, 0.08),
        dat_shock=rng.uniform(0.08, 0.15),
        segment_shock=rng.uniform(0.02, 0.05),
        browse=rng.uniform(0.15, 0.35),
        browse_shock=rng.uniform(0.03, 0.06),
        opening_ratio=log_uniform(rng, 9, 18),
        opening_growth=rng.uniform(0.03, 0.11),
        opening_shock=rng.uniform(0.08, 0.15),
        before_dip=rng.uniform(0.12, 0.30),
        waiting_dip=rng.uniform(0.5, 1.0),
        after_dip=rng.uniform(0.15, 0.35),
        time_constants_s=(log_uniform(rng, 25, 60), log_uniform(rng, 200, 450), log_uniform(rng, 1500, 3000)),
        shape_shock=rng.uniform(0.06, 0.12),
        end_share=rng.uniform(0.06, 0.12),
        burst_shock=rng.uniform(0.08, 0.18),
        fanout_shock=rng.uniform(0.01, 0.03),
        # Peak second over mean of the day for what browsing brings: 2012 saw 3.7 for detail pages, 2.05 for search.
        entry_ratio={
            "home": rng.uniform(2.0, 3.2),
            "search": rng.uniform(1.9, 3.0),
            "product-detail": rng.uniform(3.0, 4.8),
            "cart": rng.uniform(5.0, 9.0),
            "user": rng.uniform(2.5, 5.0),
        },
    )
