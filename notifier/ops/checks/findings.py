"""What a check of `doctor` finds: a verdict, what is wrong, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    UNKNOWN = "unknown"  # could not be checked: not a fault
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    verdict: Verdict
    message: str
    action: str = ""  # the next step of the operator; empty when there is nothing to do

    def as_dict(self) -> dict[str, str]:
        """Return the finding under the keys of `doctor --json`."""
        return {"check": self.check, "verdict": self.verdict, "message": self.message, "do": self.action}


Findings = Iterator[Finding]
