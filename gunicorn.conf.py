"""gunicorn's configuration, read automatically by `gunicorn notifier.wsgi`. Command-line options override it."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gunicorn.workers.gthread  # noqa: F401  (the base of our worker: part of gunicorn, so it stays loaded)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")


@contextmanager
def unloaded_afterwards() -> Iterator[None]:
    """Remove what is loaded within from the main process, code and `.env`, so that SIGHUP loads it again."""
    modules, names = set(sys.modules), set(os.environ)
    yield
    for name in set(os.environ) - names:
        del os.environ[name]
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] not in sys.stdlib_module_names:
            del sys.modules[name]


with unloaded_afterwards():
    from django.core.exceptions import ImproperlyConfigured

    try:
        from notifier import settings
        from notifier.web.worker import Worker, leave_listening_to_workers
    except ImproperlyConfigured as error:
        sys.exit(str(error))

bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
workers = settings.WEB_WORKERS
worker_class = Worker  # gthread, whose accepting thread answers /healthz
threads = 4
graceful_timeout = 10
keepalive = 75  # seconds: longer than a proxy keeps an idle connection, so that it uses none that we close (E7)
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  (no disk delays a worker's sign of life)
control_socket_disable = True
accesslog = None  # a path may contain a token (P8): notifier/request_logging.py logs each request instead
logconfig_dict = settings.LOGGING
logger_class = "notifier.web.quiet_log.QuietLog"

stop_writing = threading.Event()
replaced: list[int] = []  # pids of the workers that a reload replaces


def on_starting(_server: Any) -> None:
    """Refuse connections until a worker has loaded its code, unless another process listens at the same sockets."""
    leave_listening_to_workers()


def on_reload(server: Any) -> None:
    """Keep the old workers until the new ones have loaded their code: gunicorn would end them immediately."""
    replaced[:] = server.WORKERS
    server.num_workers += len(replaced)


def child_exit(server: Any, worker: Any) -> None:
    """Start no other worker in the place of one that a reload replaced."""
    if worker.pid in replaced:
        replaced.remove(worker.pid)
        server.num_workers -= 1


def post_worker_init(worker: Any) -> None:
    """End the workers that this one replaces; start a thread that writes the counts for /metrics and the callers."""
    from accounts.sites import api_calls, api_requests
    from jobs.core import counters
    from notifier.ops import alerting

    for pid in replaced[worker.age % worker.cfg.workers :: worker.cfg.workers]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    writers = (stop_writing, api_requests.write_noted, api_calls.write_noted)
    worker.counter_writer = threading.Thread(target=counters.keep_writing, args=writers, daemon=True)
    worker.counter_writer.start()
    alerting.start_in_web_process(stop_writing)


def worker_exit(_server: Any, worker: Any) -> None:
    """Write the last counters before the worker ends."""
    stop_writing.set()
    if hasattr(worker, "counter_writer"):
        worker.counter_writer.join(5)
