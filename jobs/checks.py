"""System checks of the queue's settings; each says what is wrong and what to write instead."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

UNSHARED = ("LocMemCache", "DummyCache")


@register("jobs")
def order_of_times(**_: Any) -> list[CheckMessage]:
    """jobs.E001: timeout < lease < retry, or a job could be started again while its first try still runs."""
    conf, lease = settings.Q_CLUSTER, settings.JOB_LEASE_SECONDS
    if 0 < conf["timeout"] < lease < conf["retry"]:
        return []
    return [
        Error(
            f"timeout ({conf['timeout']}), lease ({lease}) and retry ({conf['retry']}) are not in rising order.",
            hint="Set JOB_LEASE_SECONDS alone; settings.py derives Q_CLUSTER's timeout and retry from it.",
            id="jobs.E001",
        )
    ]


@register("jobs")
def no_connection_pool(**_: Any) -> list[CheckMessage]:
    """jobs.E002: forked workers would share one pool's connections; next to no job would run (TRAPS.md)."""
    pooled = [name for name, conf in settings.DATABASES.items() if conf.get("OPTIONS", {}).get("pool")]
    return [
        Error(
            f"The database {name!r} has psycopg's pool on; the workers that qcluster forks cannot share it.",
            hint='Remove "pool" from its OPTIONS or from DATABASE_URL; CONN_MAX_AGE keeps connections open.',
            id="jobs.E002",
        )
        for name in pooled
    ]


@register("jobs")
def broker_on_our_database(**_: Any) -> list[CheckMessage]:
    """jobs.E003: a message must commit with its job, so it lives in the same database."""
    conf = settings.Q_CLUSTER
    if conf.get("broker_class") != "jobs.broker.Courier" or conf.get("orm") == "default":
        return []
    return [
        Error(
            f"The messages are in the database {conf.get('orm')!r}, the jobs in 'default': two transactions.",
            hint='Set Q_CLUSTER["orm"] to "default".',
            id="jobs.E003",
        )
    ]


@register("jobs")
def one_master_of_retries(**_: Any) -> list[CheckMessage]:
    """jobs.E004: django-q2's own retries, scheduler and results are off; ours decide."""
    wanted = {"ack_failures": True, "max_attempts": 1, "save_limit": -1, "scheduler": False}
    wrong = {key: settings.Q_CLUSTER.get(key) for key, value in wanted.items() if settings.Q_CLUSTER.get(key) != value}
    if not wrong:
        return []
    return [
        Error(
            f"Q_CLUSTER leaves work to django-q2 that is ours: {wrong}.",
            hint=f"Set {', '.join(f'{key}={wanted[key]}' for key in wrong)}.",
            id="jobs.E004",
        )
    ]


@register("jobs", Tags.caches, deploy=True)
def shared_cache(**_: Any) -> list[CheckMessage]:
    """jobs.W001: request limits counted in each process's own memory let too many through."""
    backend = settings.CACHES["default"]["BACKEND"].rpartition(".")[2]
    if backend not in UNSHARED:
        return []
    return [
        Warning(
            f"The default cache ({backend}) is not shared: each web process counts request limits for itself.",
            hint="Set REDIS_URL, or leave the database cache of settings.py in place.",
            id="jobs.W001",
        )
    ]
