"""Used job ids: the ids of deleted jobs stay used, so that a late repeat of a request sends no second email."""

import hashlib
import uuid

from django.db import models
from django.db.models.functions import Now


class UsedJobId(models.Model):
    """The hash of a job_id, and the last status of its job."""

    digest = models.UUIDField(primary_key=True)
    status = models.CharField(max_length=16)
    deleted_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "job_ids_used"
        indexes = [models.Index(fields=["deleted_at"], name="used_deleted")]

    def __str__(self) -> str:
        return str(self.digest)


def hash_job_id(job_id: str) -> uuid.UUID:
    """Return the hash that is kept of a job_id."""
    return uuid.UUID(bytes=hashlib.sha256(job_id.encode()).digest()[:16])
