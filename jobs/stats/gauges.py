"""Names of gauges that more than one module writes or reads; deploy/prometheus/alerts.yml names them too."""

NEXT_TICK = "notifier_schedule_next_tick_timestamp_seconds"  # when a schedule is due next
