"""The settings of the queue, each with its default: a project writes only what it changes.

`conf.NAME` is the project's setting, or else the default; `QueueSettings.NAME` is the default. No other module repeats
a default, and none reads one of these settings from Django.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from django.conf import settings

T = TypeVar("T")
BROKERS = {
    "orm": "jobs.brokers.orm.OrmBroker",
    "redis": "jobs.brokers.redis.RedisBroker",
    "sqs": "jobs.brokers.sqs.SqsBroker",
}
NAME = "notifier"


class Setting(Generic[T]):
    """A setting with a default. least: the smallest number that it may be, for the system check."""

    def __init__(self, default: T, *, least: float | None = None) -> None:
        self.default, self.least = default, least

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    def __get__(self, conf: "QueueSettings | None", _owner: type) -> T:
        return self.default if conf is None else getattr(settings, self.name, self.default)


class Derived(Generic[T]):
    """A setting whose default follows from others."""

    def __init__(self, derive: Callable[["QueueSettings"], T]) -> None:
        self._derive = derive

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    def __get__(self, conf: "QueueSettings", _owner: type) -> T:
        own = getattr(settings, self.name, None)
        return self._derive(conf) if own is None else own


class QueueSettings:
    """What the queue reads; docs/settings.md explains the settings, docs/install.md those of another project."""

    JOB_MAX_ATTEMPTS = Setting(5, least=1)
    JOB_BACKOFF_SECONDS = Setting(2.0, least=0.01)
    JOB_LEASE_SECONDS = Setting(45, least=4)
    JOB_BATCH_SIZE = Setting(50, least=1)
    JOB_EXPIRES_HOURS = Setting(24, least=1)
    # Timeout < lease < retry, or a job could be started again while its first attempt still runs.
    JOB_TIMEOUT_SECONDS = Derived(lambda conf: max(2, conf.JOB_LEASE_SECONDS * 2 // 3))
    Q_BROKER = Setting("orm")
    WORKER_ALIVE_FILE = Setting("")
    NOTIFY_SOCKET = Setting("")
    REDIS_URL = Setting("")
    Q_WORKERS = Setting(2, least=1)
    RETENTION_DAYS_PAYLOAD = Setting(30, least=2)  # jobs live for one day
    RETENTION_DAYS_JOBS = Setting(90, least=2)
    RETENTION_DAYS_JOB_IDS = Setting(730, least=2)
    RETENTION_DAYS_AUDIT = Setting(730, least=2)

    @property
    def base_dir(self) -> Path:
        """The folder of the project's code: BASE_DIR, or else the folder in which the process was started."""
        return Path(getattr(settings, "BASE_DIR", None) or Path.cwd()).absolute()

    @property
    def cluster(self) -> dict[str, Any]:
        """The setting Q_CLUSTER that django-q2 reads: the project's entries, and ours for those that it leaves out."""
        workers, broker = self.Q_WORKERS, self.Q_BROKER
        carriers: dict[str, dict[str, Any]] = {
            "orm": {"orm": "default"},
            "redis": {"redis": self.REDIS_URL},
            "sqs": {"sqs": {}},
        }
        ours = {
            "name": NAME,
            "broker_class": BROKERS[broker],
            **carriers[broker],
            "workers": workers,
            "queue_limit": workers,
            "bulk": workers * self.JOB_BATCH_SIZE,
            "timeout": self.JOB_TIMEOUT_SECONDS,
            "retry": self.JOB_LEASE_SECONDS + 15,
            "recycle": 10_000,
            "ack_failures": True,
            "max_attempts": 1,
            "save_limit": -1,
            "scheduler": False,
            "cache": "none",  # where django-q2 would write its status twice a second; ours is a row (jobs.Cluster)
            "log_level": "WARNING",  # it logs every message; ours log what matters
        }
        return {**ours, **getattr(settings, "Q_CLUSTER", {})}


conf = QueueSettings()


def numbers() -> dict[str, float]:
    """Return the settings that are numbers, with the smallest that each may be."""
    found = {name: each.least for name, each in vars(QueueSettings).items() if isinstance(each, Setting)}
    return {name: least for name, least in found.items() if least is not None}


def faults() -> list[str]:
    """Return a line for each setting of the queue that is not a possible value, with what to write."""
    found = []
    for name, least in numbers().items():
        value = getattr(conf, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < least:
            found.append(f"{name} is {value!r}: set it to a number of at least {least}, or remove it.")
    if conf.Q_BROKER not in BROKERS:
        found.append(f"Q_BROKER is {conf.Q_BROKER!r}: set it to one of {', '.join(BROKERS)}.")
    elif conf.Q_BROKER == "redis" and not (conf.REDIS_URL or "redis" in getattr(settings, "Q_CLUSTER", {})):
        found.append('Q_BROKER is "redis" and REDIS_URL is empty: set REDIS_URL = "redis://127.0.0.1:6379/0".')
    return found
