"""A run that was read, and all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, overload

from capacity.errors import Problem
from capacity.loadtest.gate import Gate
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart


@dataclass(frozen=True)
class LoadTest(Result):
    """One run of a load test.

    Attributes
    ----------
    run
        Name of its folder.
    service, environment, approach, instances, instance_type, version, mix, mocked, tool, started_at, target_qps
        As run.yaml says; None where it says nothing.
    steps
        One row a steady step over all instances, columns `capacity.loadtest.steps.COLUMNS`; unknown is NaN.
    gates
        What the run and its steps are worth.
    notes, broken
        How its files were read, and where they broke.
    errors_counted
        Whether ``achieved_qps`` counts answers that failed; None where the file does not say.
    requests
        Number of requests by name, where the files tell them apart.
    path
        Its folder; None for a run made in memory.
    """

    run: str
    service: str
    instances: int
    steps: pd.DataFrame
    gates: tuple[Gate, ...] = ()
    environment: str | None = None
    approach: str | None = None
    instance_type: str | None = None
    version: str | None = None
    mix: Mapping[str, float] | None = None
    mocked: tuple[str, ...] = ()
    tool: str = "csv"
    started_at: datetime | None = None
    target_qps: float | None = None
    notes: tuple[str, ...] = ()
    broken: tuple[Problem, ...] = ()
    errors_counted: bool | None = None
    requests: Mapping[str, int] | None = None
    path: Path | None = None

    units: ClassVar[dict[str, str]] = {
        "offered_qps": "requests/s",
        "achieved_qps": "requests/s",
        "p50_ms": "ms",
        "p95_ms": "ms",
        "p99_ms": "ms",
        "seconds": "s",
    }

    @property
    def is_production(self) -> bool:
        """Whether run.yaml says production."""
        return self.environment == "production"

    @property
    def excluded_steps(self) -> frozenset[int]:
        """Indices of the steps that a gate keeps out."""
        return frozenset(g.step for g in self.gates if g.verdict == "excluded" and g.step is not None)

    @property
    def short_of_rate_steps(self) -> frozenset[int]:
        """Indices of the steps in which less was sent than asked for, so that what was achieved is what arrived.

        The generator was full, or its senders waited for answers.
        """
        said = {("generator_saturated", "bounded"), ("closed_step_posing_as_open", "flagged")}
        named = [g.step for g in self.gates if (g.name, g.verdict) in said]
        return frozenset(range(len(self.steps)) if None in named else (step for step in named if step is not None))

    @property
    def troubles(self) -> tuple[str, ...]:
        """Names of the gates that speak against the run or a step of it."""
        return tuple(sorted({g.name for g in self.gates if g.verdict in ("flagged", "bounded", "excluded")}))

    def summary(self) -> str:
        """Say the run in one line."""
        on = f" on {self.instances} instance{'s' if self.instances > 1 else ''}" if self.service else ""
        count = f"{len(self.steps)} step{'s' if len(self.steps) != 1 else ''}"
        best = f"{count} up to {self.steps['achieved_qps'].max():.4g}/s{on}"
        of = f" of {self.service}" if self.service else f" by {self.tool}, service not yet said"
        return f"{self.run}{of}: {best}; {', '.join(self.troubles) or 'nothing against it'}"

    def to_frame(self) -> pd.DataFrame:
        """Return the steps, with the gates against each."""
        against: dict[int, list[str]] = {i: [] for i in range(len(self.steps))}
        for gate in self.gates:
            if gate.step is not None and gate.verdict in ("flagged", "bounded", "excluded"):
                against[gate.step].append(f"{gate.name}: {gate.verdict}")
        return self.steps.assign(gates=["; ".join(against[i]) for i in range(len(self.steps))])

    def plot(self) -> Chart:
        """Draw throughput and latency against load, the gates marked on the steps."""
        from capacity.loadtest import figure

        return figure.load_test(self)


class LoadTests(Sequence[LoadTest]):
    """Runs in time order.

    Examples
    --------
    >>> len(LoadTests())
    0
    """

    def __init__(self, runs: Iterable[LoadTest] = ()) -> None:
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> LoadTest: ...
    @overload
    def __getitem__(self, index: slice) -> LoadTests: ...
    def __getitem__(self, index: int | slice) -> LoadTest | LoadTests:
        return LoadTests(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[LoadTest]:
        return iter(self._runs)

    def __repr__(self) -> str:
        return f"<LoadTests: {len(self)} runs of {len({r.service for r in self})} services>"

    @property
    def services(self) -> tuple[str, ...]:
        """Services with a run, sorted."""
        return tuple(sorted({run.service for run in self._runs}))

    def for_service(self, name: str) -> LoadTests:
        """Keep the runs of one service."""
        return LoadTests(run for run in self._runs if run.service == name)

    def to_frame(self) -> pd.DataFrame:
        """One row a run."""
        import pandas as pd

        rows = [
            {
                "run": r.run,
                "service": r.service,
                "started_at": r.started_at,
                "environment": r.environment,
                "instances": r.instances,
                "steps": len(r.steps),
                "max_achieved_qps": float(r.steps["achieved_qps"].max()),
                "against": ", ".join(
                    sorted({g.name for g in r.gates if g.verdict in ("flagged", "bounded", "excluded")})
                ),
            }
            for r in self._runs
        ]
        columns = ["run", "service", "started_at", "environment", "instances", "steps", "max_achieved_qps", "against"]
        return pd.DataFrame(rows, columns=columns)
