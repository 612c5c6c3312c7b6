"""gunicorn reads this by itself: `gunicorn notifier.wsgi`. Options on its command line win."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")


@contextmanager
def forgotten_afterwards() -> Iterator[None]:
    """Nothing read within stays in the main process, neither code nor `.env`: what SIGHUP starts reads it anew."""
    modules, names = set(sys.modules), set(os.environ)
    yield
    for name in set(os.environ) - names:
        del os.environ[name]
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] not in sys.stdlib_module_names:
            del sys.modules[name]


with forgotten_afterwards():
    from django.core.exceptions import ImproperlyConfigured

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
