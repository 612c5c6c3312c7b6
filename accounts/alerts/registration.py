"""What this package adds to the alerts of the queue: rules, the gauges that they read, and the channels."""

from accounts.alerts import mail_rules
from accounts.alerts.channels import channels_of_settings, heartbeat_is_on, ping_heartbeat
from jobs.alerts import channels, readings, rules


def register_alerts() -> None:
    """Register them, once, at the start."""
    readings.register_source(mail_rules.read_mail)
    rules.register(*mail_rules.RULES)
    channels.register_channels(channels_of_settings)
    channels.register_ping(ping_heartbeat, heartbeat_is_on)
