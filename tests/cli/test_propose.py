"""``capacity services propose``: shown, written when asked, refused when asked wrongly."""

import json


def test_a_proposal_is_shown_and_written_only_when_asked(bare, call, tmp_path):
    file = tmp_path / "deployments.json"
    file.write_text(json.dumps({"kind": "Deployment", "metadata": {"name": "shop"}, "spec": {"replicas": 9}}))
    services = bare / "data/services.yaml"
    before = services.read_text()
    verb = ("-w", bare, "services", "propose", "--from", "kubernetes", file)
    shown = call(*verb)
    assert shown.code == 0
    assert "+  instances: 9" in shown.out
    assert services.read_text() == before
    assert call(*verb, "--write", "--json").json["changes"][0]["proposed"] == 9
    assert services.read_text() == before.replace("instances: 6", "instances: 9")
    assert "Nothing to change" in call(*verb).out


def test_wrong_use_is_said(bare, call, tmp_path):
    file = tmp_path / "x"
    file.write_text("a: [")
    assert call("-w", bare, "services", "propose").code == 2
    assert call("-w", bare, "services", "propose", "--from", "nomad", file).code == 2
    assert call("-w", bare, "services", "propose", "--from", "kubernetes", file).code == 2
    assert call("-w", bare, "services", "shop", "--write").code == 2
