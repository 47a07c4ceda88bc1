"""Objects for Kubernetes: against its schemas, and against rules that schemas do not know."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capacity.export import Source, make_export
from capacity.export.kubernetes_checks import check_kubernetes
from capacity.export.words import dns_name
from tests.export.sources import hostile_source
from tests.real_programs import real_package


@pytest.fixture(scope="module", params=["sample", "hostile"])
def files(request: pytest.FixtureRequest, sample_source: Source) -> dict[str, str]:
    source = sample_source if request.param == "sample" else hostile_source(sample_source)
    return dict(make_export(source, "kubernetes").files)


def test_objects_keep_their_schemas(files: dict[str, str]) -> None:
    validate = real_package("kubernetes_validate")
    objects = [one for name in ("autoscalers.yaml", "budgets.yaml") for one in yaml.safe_load_all(files[name])]
    assert {one["kind"] for one in objects} == {"HorizontalPodAutoscaler", "PodDisruptionBudget", "ResourceQuota"}
    for one in objects:
        validate.validate(one, "1.33", strict=True)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)


def test_the_floor_is_the_plan_and_the_quota_bears_it(sample_source: Source) -> None:
    files = make_export(sample_source, "kubernetes").files
    planned = {dns_name(name): one for name, one in sample_source.document["services"].items()}
    autoscalers = list(yaml.safe_load_all(files["autoscalers.yaml"]))
    assert len(autoscalers) >= 12
    for one in autoscalers:
        assert one["spec"]["minReplicas"] == planned[one["metadata"]["name"]]["instances"]
    assert not check_kubernetes(files["autoscalers.yaml"] + "---\n" + files["budgets.yaml"])


def test_cron_scales_as_scheduled_and_says_that_it_knows_no_year(sample_source: Source, files: dict[str, str]) -> None:
    for one in yaml.safe_load_all(files["keda.yaml"]):
        assert "no year" in one["metadata"]["annotations"]["capacity/origin"]
        scale_up = one["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]
        assert scale_up["policies"][0]["value"] >= max(
            (int(trigger["metadata"]["desiredReplicas"]) for trigger in one["spec"]["triggers"]), default=0
        ), "the whole step in one period"
        for trigger in one["spec"]["triggers"]:
            assert isinstance(trigger["metadata"]["desiredReplicas"], str)
            assert trigger["metadata"]["timezone"] == "Asia/Shanghai"
    assert any("no year" in step for step in make_export(sample_source, "kubernetes").next_steps)


def cron(desired: object, end: str = "b", **spec: object) -> dict[str, object]:
    metadata = {"start": "a", "end": end, "desiredReplicas": desired}
    return {
        "kind": "ScaledObject",
        "metadata": {"name": "a"},
        "spec": {**spec, "triggers": [{"type": "cron", "metadata": metadata}]},
    }


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ({"kind": "HorizontalPodAutoscaler", "spec": {"minReplicas": 9, "maxReplicas": 3}}, "at most maxReplicas (3)"),
        ({"kind": "PodDisruptionBudget", "spec": {"maxUnavailable": 0}}, "never be drained"),
        (cron(3), "KEDA refuses numbers"),
        (cron("3", maxReplicaCount=2), "at most maxReplicaCount"),
        (cron("3", end="a"), "empty"),
    ],
)
def test_what_a_schema_misses_is_found(one: dict[str, object], says: str) -> None:
    assert says in " ".join(str(problem) for problem in check_kubernetes(yaml.safe_dump(one)))


def test_a_quota_below_the_floors_is_found() -> None:
    text = "{kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {minReplicas: 9, maxReplicas: 9}}\n---\n"
    text += "{kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: '8'}}}\n"
    assert "at least 9" in str(check_kubernetes(text)[0])


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_names_are_taken_and_stay_different(names: list[str]) -> None:
    made = [dns_name(name) for name in names]
    assert len(set(made)) == len(made)
    assert all(
        len(one) <= 52 and one.strip("-") == one and one.replace("-", "").isalnum() and one.isascii() for one in made
    )


def test_every_file_holds_the_signature(sample_source: Source, tmp_path: Path) -> None:
    for text in make_export(sample_source, "kubernetes").files.values():
        assert sample_source.signature in text
    assert not list(tmp_path.iterdir())


HPA = "{kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {minReplicas: 3, scaleTargetRef: {name: a}}}\n---\n"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("{kind: PodDisruptionBudget, metadata: {name: a}, spec: {minAvailable: 3}}", "no node could be drained"),
        ("{kind: ScaledObject, metadata: {name: a}, spec: {scaleTargetRef: {name: a}}}", "keep one of the two"),
    ],
)
def test_what_two_objects_do_to_each_other_is_found(other: str, says: str) -> None:
    found = check_kubernetes(HPA + other)
    assert len(found) == 1
    assert says in str(found[0])
    assert not check_kubernetes(HPA + other.replace("minAvailable: 3", "minAvailable: 2").replace("name: a", "name: b"))


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "PodDisruptionBudget", "ScaledObject", "ResourceQuota"])
@pytest.mark.parametrize("odd", ["x", [1], None, {"y": 1}, True, -1])
@pytest.mark.parametrize(
    "key", ["spec", "metadata", "minReplicas", "maxReplicas", "minReplicaCount", "maxReplicaCount", "triggers", "hard"]
)
def test_what_people_write_is_no_traceback(kind: str, odd: object, key: str) -> None:
    spec = {"minReplicas": 1, "maxReplicas": 2, "triggers": [odd], "hard": {"pods": odd}, key: odd}
    one = {"kind": kind, "metadata": {"name": "a"}, "spec": spec} | ({key: odd} if key in ("spec", "metadata") else {})
    check_kubernetes(yaml.safe_dump(one) + "---\n" + yaml.safe_dump(cron("many", maxReplicaCount=odd)))
