"""Every model of this app."""

from jobs.cluster.clusters import Cluster
from jobs.core.attempts import JobAttempt
from jobs.core.audit import AuditEntry
from jobs.core.counters import Counter
from jobs.core.job import JobLog
from jobs.core.leases import LeaderLease
from jobs.core.pauses import JobTypeState, LaneState, ProviderState
from jobs.core.used_ids import UsedJobId
from jobs.maintenance.retention import RetentionMark
from jobs.queue.bulk_replay import BulkReplay
from jobs.stats.minutes import Minute
from jobs.tasks.stored import TaskResultRow

__all__ = [
    "AuditEntry",
    "BulkReplay",
    "Cluster",
    "Counter",
    "JobAttempt",
    "JobLog",
    "JobTypeState",
    "LaneState",
    "LeaderLease",
    "Minute",
    "ProviderState",
    "RetentionMark",
    "TaskResultRow",
    "UsedJobId",
]
