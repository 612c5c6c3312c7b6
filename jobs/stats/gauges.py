"""Names of gauges that more than one module writes or reads."""

NEXT_TICK = "notifier_schedule_next_tick_timestamp_seconds"  # when a schedule is due next
