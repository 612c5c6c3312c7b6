"""`manage.py alerts`: the states of the rules, a test of every channel, and the secret of the webhook."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.alerts.channels import secrets_in_use
from jobs.alerts import channels, evaluator, rules
from jobs.alerts.channels import Alert
from jobs.alerts.states import AlertNotice, AlertState
from jobs.core import audit
from jobs.management.verbs import operator


class Command(BaseCommand):
    help = "Lists the alert rules, sends a test alert through every channel, or prints the secret of ALERT_WEBHOOK."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "test", "secret"])

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")()

    def _list(self) -> None:
        firing = dict(AlertState.objects.firing().values_list("name", "firing_since"))
        for rule in rules.all_rules():
            since = f"firing since {firing[rule.name]:%Y-%m-%d %H:%M} UTC" if rule.name in firing else "calm"
            self.stdout.write(f"{rule.name:26} {since}")

    def _test(self) -> None:
        """Send a test alert through every channel. Raise CommandError when one does not take it."""
        names = [channel.name for channel in channels.configured()]
        if not names:
            raise CommandError("no channel is set: set ALERT_TO or ALERT_WEBHOOK (docs/alerts.md)")
        now = timezone.now()
        for name in names:
            audit.record(operator(), audit.AuditEntry.Act.TEST_ALERT, name)
        failed = evaluator.send(Alert(None, AlertNotice.FIRING, now, now), names)
        for name in names:
            self.stdout.write(f"{name}: {'not sent, see the log line' if name in failed else 'sent'}")
        if failed:
            raise CommandError(f"{len(failed)} of {len(names)} channels did not take it")

    def _secret(self) -> None:
        self.stdout.write(secrets_in_use()[0])
