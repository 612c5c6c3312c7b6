"""deploy/prometheus and deploy/grafana name metrics that /metrics has, all of them, and promtool takes the rules."""

import json
import re
import shutil
import subprocess

import pytest
from prometheus_client.core import Metric

from notifier.ops.collector import Collector
from tests.support.site import ROOT

RULES = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def sample_names(family: Metric) -> set[str]:
    return {f"{family.name}{suffix}" for suffix in SUFFIXES[family.type]}


@pytest.fixture
def families(db) -> list[Metric]:
    return list(Collector().collect())


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=["alerts", "dashboard"])
def test_only_metrics_that_exist_are_used(families, path):
    there = set().union(*map(sample_names, families))
    used = set(re.findall(r"\bnotifier_\w+", path.read_text()))
    assert used
    assert used <= there


def test_the_dashboard_shows_every_metric(families):
    text = DASHBOARD.read_text()
    assert [family.name for family in families if family.name not in text] == []
    ids = [panel["id"] for panel in json.loads(text)["panels"]]
    assert len(ids) == len(set(ids))


def test_promtool_takes_the_rules_and_the_example():
    for what, name in (("rules", RULES), ("config", RULES.with_name("prometheus.yml"))):
        if promtool := shutil.which("promtool"):
            command = [promtool, "check", what, *(["--syntax-only"] if what == "config" else []), str(name)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stdout + done.stderr
        assert name.exists()
