"""deploy/prometheus/alerts.yml and the rules that the site evaluates have the same names, conditions and times."""

import re

import yaml

from jobs.alerts import rules
from tests.support.site import ROOT

FILE = ROOT / "deploy/prometheus/alerts.yml"
SECONDS = {"s": 1, "m": 60, "h": 3600}


def prometheus_rules() -> dict[str, tuple[str, int, str]]:
    """Condition, seconds and severity of each rule of the file, by name."""
    found = {}
    for rule in yaml.safe_load(FILE.read_text())["groups"][0]["rules"]:
        hold = rule.get("for", "0s")
        seconds = int(hold[:-1]) * SECONDS[hold[-1]]
        found[rule["alert"]] = (" ".join(rule["expr"].split()), seconds, rule["labels"]["severity"])
    return found


def test_both_have_the_same_rules():
    ours = {rule.name: (rule.expression, rule.hold_seconds, rule.severity) for rule in rules.all_rules()}
    assert ours == prometheus_rules()


def test_the_page_about_alerts_has_a_section_for_each_rule():
    text = (ROOT / "docs/alerts.md").read_text()
    assert {rule.name for rule in rules.all_rules()} == set(re.findall(r"^### (Notifier\w+)$", text, re.MULTILINE))
    assert all(rule.runbook == f"docs/alerts.md#{rule.name.lower()}" for rule in rules.all_rules())


def test_the_run_book_names_every_rule():
    text = (ROOT / "docs/operations.md").read_text()
    assert [rule.name for rule in rules.all_rules() if f"`{rule.name}`" not in text] == []
