"""Alerts to operators without Prometheus: rules, their states, the channels that carry them, and who evaluates them."""
