"""What Kubernetes and Backstage say, as a difference: only what differs changes, every other character stays."""

import difflib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capacity.catalog import parse_services
from capacity.catalog.proposal import Proposal, propose_services
from capacity.catalog.proposal.edit import Change, edit_services
from capacity.document import parse_yaml
from capacity.errors import InputError, UsageError

SERVICES = """\
# The shop.

- name: cart   # since 2019
  tier: core                # never lost
  owner: trade-team
  instances: 3   # three zones
  zones: 3
  max_instances: 4
  version: "1.10"
  calls:
    - {to: stock, per_request: 2.0}   # measured
    # more to come

- {name: stock, tier: core, instances: 2, calls: [{to: db}]}

- name: db
  tier: core
  scalable: false
  # the last line is a comment
"""
HOSTILE = [
    'a"b; return 200;',
    "{{x}}",
    "line\nbreak",
    "<script>",
    "双11",
    "x" * 300,
    "on",
    "1.10",
    "- a: b",
    "# no",
    "é\u2028",
]


def deployment(name: str, replicas: object, *, kind: str = "Deployment", **meta: object) -> dict[str, object]:
    return {"kind": kind, "metadata": {"name": name, **meta}, "spec": {"replicas": replicas}}


def of_kubernetes(*objects: dict[str, object], text: str = SERVICES) -> Proposal:
    return propose_services(text, source="kubernetes", seen=json.dumps({"kind": "List", "items": list(objects)}))


def changed_lines(made: Proposal) -> list[str]:
    lines = difflib.ndiff(made.before.splitlines(), made.after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_replicas_change_their_value_and_nothing_else():
    made = of_kubernetes(deployment("cart", 4), deployment("stock", 5, kind="StatefulSet"))
    assert changed_lines(made) == [
        "-   instances: 3   # three zones",
        "+   instances: 4   # three zones",
        "- - {name: stock, tier: core, instances: 2, calls: [{to: db}]}",
        "+ - {name: stock, tier: core, instances: 5, calls: [{to: db}]}",
    ]
    assert made.difference.startswith("--- data/services.yaml\n+++ ")
    assert parse_services(made.after)["cart"].instances == 4
    assert made.to_frame()["says"].tolist()[0] == "Deployment default/cart spec.replicas 4"


def test_what_agrees_is_no_difference():
    made = of_kubernetes(deployment("cart", 3), deployment("stock", 2))
    assert (made.difference, made.after, made.changes) == ("", SERVICES, ())


def test_a_service_is_found_by_annotation_then_name_then_label():
    by_label = deployment("cart-v2", 4, labels={"app.kubernetes.io/name": "cart"})
    by_annotation = deployment("other", 9, annotations={"capacity/service": "stock"}, labels={"app": "cart"})
    made = of_kubernetes(by_label, by_annotation)
    assert {(change[0], change[3]) for change in made.changes} == {("cart", 4), ("stock", 9)}


@pytest.mark.parametrize(
    ("objects", "note"),
    [
        ([deployment("db", 1)], "counts no instances"),
        ([deployment("cart", 0)], "nothing to take over"),
        ([deployment("cart", "many")], "nothing to take over"),
        ([deployment("cart", 3, namespace="a"), deployment("cart", 9, namespace="b")], "several workloads"),
        ([deployment("coredns", 2)], "not in services.yaml, left out: Deployment default/coredns"),
        ([deployment("cart", 3)], "in services.yaml but not in the file: stock"),
    ],
)
def test_what_cannot_be_used_is_said_and_not_used(objects, note):
    made = of_kubernetes(*objects)
    assert any(note in one for one in made.notes)
    assert made.difference == ""


def test_more_replicas_than_the_quota_raise_it_and_say_so():
    made = of_kubernetes(deployment("cart", 40))
    assert parse_services(made.after)["cart"].max_instances == 40
    assert any("cannot be the quota" in note for note in made.notes)


def test_an_autoscaler_and_replicas_not_ready_are_told_of():
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "x"},
        "spec": {"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "cart"}},
    }
    made = of_kubernetes(deployment("cart", 4) | {"status": {"readyReplicas": 1}}, scaler)
    assert any("between 2 and 9" in note for note in made.notes)
    assert any("1 of 4 replicas were ready" in note for note in made.notes)
    assert "max_instances" not in made.to_frame()["key"].tolist(), "an autoscaler's ceiling is no quota"


BACKSTAGE = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: cart}
spec: {type: service, owner: "group:default/basket-team",
  dependsOn: ["component:stock", "resource:default/db", "component:mail"]}
---
kind: Resource
metadata: {name: db}
spec: {type: database, owner: dba-team}
---
kind: Component
metadata: {name: mail, annotations: {capacity/tier: degradable}}
spec: {type: service, owner: user:default/ann, dependsOn: [component:cart, component:nowhere]}
---
kind: Resource
metadata: {name: bank}
spec: {type: third-party, owner: unknown}
"""


def test_owners_calls_and_new_services_come_from_backstage():
    made = propose_services(SERVICES, source="backstage", seen=BACKSTAGE)
    found = parse_services(made.after)
    assert found["cart"].owner == "basket-team"
    assert [call.to for call in found["cart"].calls] == ["stock", "db", "mail"]
    assert found["cart"].calls[0].per_request == 2.0
    assert found["db"].owner == "dba-team"
    assert (found["mail"].tier, found["mail"].owner) == ("degradable", "ann")
    assert found["bank"].third_party
    assert found["bank"].assumed("owner")
    assert "tier: core  # guessed" in made.after
    removed = [line for line in changed_lines(made) if line[0] == "-"]
    assert removed == ["-   owner: trade-team"]
    notes = " ".join(made.notes)
    assert "mail: depends on cart, which needs mail itself" in notes, "a circle is no catalogue"
    assert "component:nowhere" in notes
    assert "cart: how often it calls db is not known" in notes


@pytest.mark.parametrize("written", ["yaml", "json", "documents"])
def test_every_way_to_write_objects_is_read(written):
    items = [deployment("cart", 4), deployment("stock", 7)]
    seen = {
        "yaml": yaml.safe_dump({"kind": "DeploymentList", "items": items}),
        "json": json.dumps({"kind": "List", "items": items}),
        "documents": yaml.safe_dump_all(items),
    }[written]
    made = propose_services(SERVICES, source="kubernetes", seen=seen)
    assert len(made.changes) == 2


@pytest.mark.parametrize(
    "seen", ["", "[]", "{a: 1}", "a: [", "kind: [", "\x00", "{kind: Deployment}", "- 1", "{" * 2000]
)
def test_bad_files_end_in_a_message(seen):
    if "Deployment" in seen:
        assert propose_services(SERVICES, source="kubernetes", seen=seen).difference == ""
        return
    with pytest.raises(InputError, match="kubernetes"):
        propose_services(SERVICES, source="kubernetes", seen=seen)


@pytest.mark.parametrize("field", ["metadata", "spec", "status"])
@pytest.mark.parametrize(
    "value",
    [None, 7, "x", [1], {"name": 3, "replicas": [], "labels": 4, "annotations": [], "dependsOn": {}, "owner": []}],
)
def test_strange_objects_are_no_traceback(field, value):
    for source, kind in (("kubernetes", "Deployment"), ("backstage", "Component")):
        one = deployment("cart", 3) | {"kind": kind, field: value}
        made = propose_services(SERVICES, source=source, seen=json.dumps(one))
        parse_services(made.after)


def test_an_unknown_source_is_said():
    with pytest.raises(UsageError, match="did you mean 'kubernetes'"):
        propose_services(SERVICES, source="kubernets", seen="")


@pytest.mark.parametrize("shared", ["[&one {to: db}]", "&some [{to: db}]"])
def test_anchors_shared_by_services_are_refused_not_broken(shared):
    alias = shared[1:5].replace("&", "*") if shared[0] == "[" else "*some"
    text = f"- {{name: a, tier: core, calls: {shared}}}\n- {{name: b, tier: core, calls: {alias} }}\n"
    with pytest.raises(InputError, match=r"in place|cannot be read"):
        edit_services(text, [Change("b", {"tier": "core"}, ("c",))], where="a.yaml")


@pytest.mark.parametrize("text", ["[]\n", "# nothing\n[]\n# after\n"])
def test_an_empty_catalogue_is_filled(text):
    made = propose_services(text, source="backstage", seen=BACKSTAGE.replace("component:nowhere", "component:bank"))
    assert set(parse_services(made.after)) == {"cart", "db", "mail", "bank"}
    assert all(line in made.after for line in text.splitlines() if line.startswith("#"))


def test_lines_of_windows_stay_so():
    text = SERVICES.replace("\n", "\r\n")
    made = propose_services(text, source="backstage", seen=BACKSTAGE)
    assert "\n" not in made.after.replace("\r\n", "")
    assert parse_services(made.after)["cart"].owner == "basket-team"


WRITTEN = {
    "block": lambda one: yaml.safe_dump([one], allow_unicode=True, sort_keys=False, width=20),
    "indented": lambda one: "".join(f"   {line}\n" for line in yaml.safe_dump([one], sort_keys=False).splitlines()),
    "flow": lambda one: "- " + json.dumps(one) + "  # said\n",
    "commented": lambda one: "# before\n" + yaml.safe_dump([one], sort_keys=False) + "\n# after\n",
}


@given(
    name=st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=12).filter(str.strip),
    owner=st.sampled_from(HOSTILE) | st.text(max_size=30),
    callee=st.sampled_from(HOSTILE),
    style=st.sampled_from(sorted(WRITTEN)),
    calls=st.sampled_from([None, [], [{"to": "stock"}]]),
    key=st.sampled_from(["owner", "version", "instances"]),
)
def test_any_text_is_changed_to_what_was_meant(name, owner, callee, style, calls, key):
    """Read back by the program's own parser, the new text says what was meant, and keeps every comment."""
    one = {"name": name, "tier": "core", "owner": "before"} | ({} if calls is None else {"calls": calls})
    text = WRITTEN[style](one)
    try:
        before = parse_yaml(text, where="a").value
    except InputError:
        return  # not a file that the program reads
    if not before or before[0].get("name") != name:
        return
    value = 7 if key == "instances" else owner
    after = edit_services(
        text, [Change(name, {key: value}, (callee,)), Change(name + "2", {"tier": "core"})], where="a"
    )
    found = parse_yaml(after, where="a").value
    assert found[0] == one | {key: value} | {"calls": [*(calls or []), {"to": callee}]}
    assert found[1] == {"name": name + "2", "tier": "core"}
    assert all(said in after for said in ("# before", "# after", "# said") if said in text)


def test_the_samples_file_changes_by_what_differs_alone(sample_dir: Path):
    text = (sample_dir / "data" / "services.yaml").read_text(encoding="utf-8")
    names = [name for name, service in parse_services(text).items() if service.has_pool]
    made = propose_services(
        text, source="kubernetes", seen=json.dumps({"kind": "List", "items": [deployment(name, 30) for name in names]})
    )
    lines = changed_lines(made)
    assert len([line for line in lines if "instances:" in line]) == len(lines) >= 2 * len(names)
    assert all(parse_services(made.after)[name].instances == 30 for name in names)
