"""gunicorn reads this by itself: `gunicorn notifier.wsgi`. Options on its command line win."""

import os
import sys
import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
try:
    from notifier import settings
except ImproperlyConfigured as wrong:
    sys.exit(str(wrong))

bind = f"127.0.0.1:{settings.PORT}"
workers = settings.WEB_WORKERS
worker_class = "gthread"
threads = 4
graceful_timeout = 10
control_socket_disable = True
accesslog = None  # a path may hold a token (P8): notifier/requests.py writes a line for each request
logconfig_dict = settings.LOGGING

stop_counting = threading.Event()


def post_worker_init(worker: Any) -> None:
    """In each worker, once Django is up: a thread writes what the requests noted for /metrics."""
    from jobs import counters

    worker.counting = threading.Thread(target=counters.keep_writing, args=(stop_counting,), daemon=True)
    worker.counting.start()


def worker_exit(server: Any, worker: Any) -> None:
    """The last counts are written before the worker ends."""
    stop_counting.set()
    if hasattr(worker, "counting"):
        worker.counting.join(5)
