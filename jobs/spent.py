"""Job ids whose rows are gone: they stay used, so that a late repeat of a request is still one mail."""

import hashlib
import uuid

from django.db import models
from django.db.models.functions import Now


class SpentJobId(models.Model):
    """The hash of a job_id, and what had become of its job."""

    digest = models.UUIDField(primary_key=True)
    status = models.CharField(max_length=16)
    gone_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "job_ids_spent"
        indexes = [models.Index(fields=["gone_at"], name="spent_gone")]

    def __str__(self) -> str:
        return str(self.digest)


def digest(job_id: str) -> uuid.UUID:
    """What is kept of a job_id."""
    return uuid.UUID(bytes=hashlib.sha256(job_id.encode()).digest()[:16])
