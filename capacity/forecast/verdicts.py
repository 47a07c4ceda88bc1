"""What a backtest shows, in sentences: the worst first, and never more sure than so few promotions allow."""

from collections.abc import Iterator

import pandas as pd

from capacity.display.numbers import format_number
from capacity.forecast.rules import RULES
from capacity.forecast.scores import COVERAGES, FORECAST, by_chance

NAMES = {
    "seasonal_naive": "the last week again",
    "last_year_times_growth": "last year times growth",
    "history_alone": "history without the business",
}
_NAMED = 4


def reasons(table: pd.DataFrame, events: pd.DataFrame) -> tuple[str, ...]:
    """Sentences about the scores (`Backtest.to_frame`) and the promotions (`Backtest.events`)."""
    lines = [line for metric, part in events.groupby("metric", sort=False) for line in _promotions(str(metric), part)]
    lines += _too_narrow_or_wide(table)
    lines += _against_others(table)
    return tuple(lines)


def _promotions(metric: str, part: pd.DataFrame) -> Iterator[str]:
    name, n, held = metric.upper(), len(part), int(part["inside_90"].sum())
    low, high = (round(share * n) for share in by_chance(0.9, n))
    meaning = "" if low <= held else ": too narrow, or an unlucky draw"
    yield (
        f"{name} of largest days, forecast {part['days_ahead'].median():.0f} days ahead: the 90 % interval held {held} "
        f"of {n} promotions (true intervals hold {low} to {high} nine times in ten){meaning}"
    )
    errors = [f"forecast {part['error'].abs().mean():.1%}"]
    for rule in RULES:
        both = part[part[rule].notna()]
        if len(both):
            own, rules = both["error"].abs().mean(), (both[rule] / both["actual"] - 1).abs().mean()
            errors.append(f"{NAMES[rule]} {rules:.1%} (forecast on the same {len(both)}: {own:.1%})")
    yield f"{name} of largest days, mean error: {'; '.join(errors)}"
    missed = part[~part["inside_90"].astype(bool)]
    if len(missed):
        told = [
            f"{row['promotion']} came at {format_number(row['actual'])}, the interval was {format_number(row['q05'])} "
            f"to {format_number(row['q95'])} ({row['known_of_kind']} past of its kind known)"
            for row in missed.head(_NAMED).to_dict(orient="records")
        ]
        more = f"; and {len(missed) - _NAMED} more" if len(missed) > _NAMED else ""
        yield f"{name} outside: {'; '.join(told)}{more}"


def _too_narrow_or_wide(table: pd.DataFrame) -> Iterator[str]:
    """Horizons at which the intervals held less or more than chance explains, a trial an origin or promotion."""
    own = table[(table["method"] == FORECAST) & (table["days_ahead"] != "all")]
    found = []
    for row in own.to_dict(orient="records"):
        for percent in COVERAGES:
            low, high = by_chance(percent / 100, int(row["clusters"]))
            share = row[f"coverage_{percent}"]
            if not low <= share <= high:
                word = "too wide" if share > high else "too narrow"
                days = "promotion" if row["days"] == "event" else "ordinary"
                found.append(
                    f"{str(row['metric']).upper()} of {days} days {row['days_ahead']} days ahead: {percent} % interval "
                    f"{word}, held {share:.0%}"
                )
    if found:
        yield from found
    else:
        yield "at every horizon the 80, 90 and 95 % intervals held as often as true ones do, chance allowed for"


def _against_others(table: pd.DataFrame) -> Iterator[str]:
    others = table[(table["method"] != FORECAST) & (table["days_ahead"] == "all")]
    for row in others.to_dict(orient="records"):
        days = "promotion" if row["days"] == "event" else "ordinary"
        score = row["interval_score_ratio"]
        scored = f", interval score {score:.2f}" if pd.notna(score) else ""
        better = (
            "" if row["error_ratio"] <= 1 else ": the rule was better" if row["method"] in RULES else ": it was worse"
        )
        yield (
            f"{str(row['metric']).upper()} of {days} days against {NAMES[str(row['method'])]}: error "
            f"{row['error_ratio']:.2f} of its{scored}{better}"
        )
