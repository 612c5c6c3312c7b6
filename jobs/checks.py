"""System checks of the queue's settings; each reports what is wrong and what to write instead."""

import math
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from jobs.conf import BROKERS, conf
from jobs.core import job_types
from jobs.core.job_types import LONGEST_WAIT, JobType, Policy, Unique
from jobs.core.pauses import Lane
from jobs.core.retry_policy import JITTER

MOST_ATTEMPTS = 100
LONGEST_TIMEOUT = 24 * 3600


@register("jobs")
def order_of_times(**_: Any) -> list[CheckMessage]:
    """Check that timeout < lease < retry (jobs.E001).

    Otherwise a job could start again while its last attempt still runs.
    """
    timeout, lease, retry = conf.cluster["timeout"], conf.JOB_LEASE_SECONDS, conf.cluster["retry"]
    if 0 < timeout < lease < retry:
        return []
    return [
        Error(
            f"timeout ({timeout}), lease ({lease}) and retry ({retry}) are not in rising order.",
            hint="Set JOB_LEASE_SECONDS alone; Q_CLUSTER's timeout and retry follow from it.",
            id="jobs.E001",
        )
    ]


@register("jobs")
def no_connection_pool(**_: Any) -> list[CheckMessage]:
    """Check that psycopg's pool is off (jobs.E002).

    Forked workers would share its connections, and almost no job would run.
    """
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
    """Check that messages are in the database of their jobs, to commit with them (jobs.E003)."""
    cluster = conf.cluster
    if cluster["broker_class"] != BROKERS["orm"] or cluster.get("orm") == "default":
        return []
    return [
        Error(
            f"The messages are in the database {cluster.get('orm')!r}, the jobs in 'default': two transactions.",
            hint='Set Q_CLUSTER["orm"] to "default".',
            id="jobs.E003",
        )
    ]


@register("jobs")
def one_master_of_retries(**_: Any) -> list[CheckMessage]:
    """Check that django-q2's own retries, scheduler and results are off (jobs.E004)."""
    wanted = {"ack_failures": True, "max_attempts": 1, "save_limit": -1, "scheduler": False}
    wrong = {key: conf.cluster[key] for key, value in wanted.items() if conf.cluster[key] != value}
    if not wrong:
        return []
    return [
        Error(
            f"Q_CLUSTER lets django-q2 do what the queue does: {wrong}.",
            hint=f"Set {', '.join(f'{key}={wanted[key]}' for key in wrong)}.",
            id="jobs.E004",
        )
    ]


@register("jobs")
def possible_policies(**_: Any) -> list[CheckMessage]:
    """Check that the policy of every job type can be followed (jobs.E005)."""
    return [
        Error(
            f"The job type {kind.name!r}: {fault}.", hint=f"Change its {field} where it is registered.", id="jobs.E005"
        )
        for kind in job_types.all_types()
        for fault, field in _policy_faults(kind)
    ]


def _policy_faults(kind: JobType) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the policy of a type, and the name of the field to change."""
    policy = kind.policy
    if kind.lane not in Lane.values:
        yield f"the lane {kind.lane!r} is not one of {', '.join(Lane.values)}", "lane"
    if policy.timeout is not None and kind.execution.threads:
        yield "it runs in threads, which share the time of their batch, and has a timeout of its own", "policy.timeout"
    yield from policy_faults(policy)


def policy_faults(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a policy of any type, and the name of the field to change."""
    if policy.timeout is not None and not (_is_whole(policy.timeout) and 1 <= policy.timeout <= LONGEST_TIMEOUT):
        yield (
            f"the timeout {policy.timeout!r} is not a whole number of seconds from 1 to {LONGEST_TIMEOUT}",
            "policy.timeout",
        )
    if policy.unique is not None:
        yield from _unique_faults(policy.unique)
    yield from _patience_faults(policy)


def _patience_faults(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the attempts of a policy and the times between them."""
    attempts, backoff = policy.max_attempts, policy.backoff
    waits = backoff if isinstance(backoff, tuple) else (1.0 if backoff is None else backoff,)
    if attempts is not None and not (_is_whole(attempts) and 1 <= attempts <= MOST_ATTEMPTS):
        yield f"max_attempts is {attempts!r}, not a whole number from 1 to {MOST_ATTEMPTS}", "policy.max_attempts"
    elif not waits or not all(_is_number(wait) and 0.01 <= wait <= LONGEST_WAIT for wait in waits):
        yield f"backoff is {backoff!r}: each wait must be 0.01 s to 24 h", "policy.backoff"
    elif isinstance(backoff, tuple) and attempts not in (None, len(waits) + 1):
        yield f"{len(waits)} waits are between {len(waits) + 1} attempts, not {attempts}", "policy.max_attempts"
    elif policy.expires is not None and not (_is_number(policy.expires) and policy.expires > 0):
        yield f"expires is {policy.expires!r}, not a number of seconds above 0", "policy.expires"
    elif policy != Policy(timeout=policy.timeout, unique=policy.unique):
        longest = sum(policy.waits[: policy.attempts - 1]) * (1 + JITTER)
        if longest >= policy.lifetime:
            hours = f"{longest / 3600:.1f} h, and a job expires after {policy.lifetime / 3600:.1f} h"
            yield f"the waits between its attempts take up to {hours}: the last ones are never made", "policy.expires"


def _unique_faults(unique: Unique) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the uniqueness of a policy."""
    days = conf.RETENTION_DAYS_JOBS
    if not (_is_number(unique.period) and 0 <= unique.period <= days * 86400):
        kept = f"0 to {days * 86400} seconds: a row is deleted after {days} days (RETENTION_DAYS_JOBS)"
        yield f"unique.period is {unique.period!r}, not {kept}", "policy.unique"
    if not (isinstance(unique.key, tuple) and all(isinstance(key, str) and key for key in unique.key)):
        yield f"unique.key is {unique.key!r}, not a tuple of keys of the payload", "policy.unique"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))
