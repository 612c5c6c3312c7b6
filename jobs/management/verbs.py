"""What the operators' commands with verbs share: `manage.py jobs VERB`, `manage.py schedules VERB`."""

import getpass
import json
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import translation

from jobs.core import masking


class VerbCommand(BaseCommand):
    """A command whose first argument is a verb, done by the method `do_VERB`. Its option --json must be declared."""

    def handle(self, *, verb: str, **options: Any) -> None:
        self.as_json = options["json"]
        with translation.override("en"):
            getattr(self, f"do_{verb}")(options)

    def output(self, data: Any, text: str) -> None:
        """Write `data` as JSON, or else `text`; control and bidirectional characters are escaped in both."""
        shown = json.dumps(data, default=str, ensure_ascii=False) if self.as_json else text
        self.stdout.write(masking.escape_controls(shown))


def operator() -> str:
    """Return who runs the command, for the audit."""
    return f"cli:{getpass.getuser()}"
