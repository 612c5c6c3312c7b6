"""Alerts from web processes: they evaluate the rules while no cluster does."""

import threading

from jobs.alerts.service import EVERY_SECONDS, AlertService
from jobs.cluster import clusters

TAKE_OVER_SECONDS = 3 * EVERY_SECONDS  # after which a living cluster that evaluates nothing is replaced


def start_in_web_process(stop: threading.Event) -> bool:
    """Start the threads; False when the settings name no receiver of alerts."""
    return AlertService(_seconds).start(stop)


def _seconds() -> float:
    """Return after how long this process may evaluate."""
    return TAKE_OVER_SECONDS if clusters.alive().exists() else EVERY_SECONDS
