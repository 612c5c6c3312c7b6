"""The alert rules: the same names, conditions and thresholds as in deploy/prometheus/alerts.yml (a test compares them).

An app registers its rules at the start. A rule reads `Readings` alone, so its condition is a pure function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.alerts.readings import Readings

PAGE, TICKET = "page", "ticket"  # wakes an operator; can wait until morning


@dataclass(frozen=True)
class Rule:
    """One rule."""

    name: str
    expression: str
    """Its condition in PromQL, made of the same thresholds as `find`; "" where Prometheus has its own."""
    hold_seconds: int
    """How long the condition must hold before the rule fires (`for` in Prometheus)."""
    severity: str
    """PAGE or TICKET."""
    summary: Any
    """What is wrong: a lazy translation."""
    action: Any
    """What to do: a lazy translation."""
    find: Callable[[Readings], list[str]]
    """Returns what the condition holds for: names of lanes or job types, "" for the site; [] when it does not hold."""

    @property
    def runbook(self) -> str:
        """The place in the documentation that says what to do."""
        return f"docs/alerts.md#{self.name.lower()}"


_rules: dict[str, Rule] = {}


def register(*rules: Rule) -> None:
    """Add rules, in the order in which the page lists them. Raise ValueError for a name that another rule has."""
    for rule in rules:
        if _rules.get(rule.name, rule) is not rule:
            raise ValueError(f"the alert rule {rule.name} is registered twice")
        _rules[rule.name] = rule


def all_rules() -> list[Rule]:
    """Return every rule, in the order of registration."""
    return list(_rules.values())


def get_or_none(name: str) -> Rule | None:
    """Return a rule by name; None for one that this version does not have."""
    return _rules.get(name)


def present(condition: bool) -> list[str]:
    """Return what a rule about the whole site finds."""
    return [""] if condition else []
