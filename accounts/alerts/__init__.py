"""Alerts to operators: the rules about email and events, and the channels email, webhook and heartbeat."""
