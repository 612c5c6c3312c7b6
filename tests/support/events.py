"""Sites with event endpoints, and a worker in the test that sends what is due."""

from typing import Any

from accounts.events.emit import JOB_TYPE
from accounts.events.endpoint import EventEndpoint
from accounts.sites.site import Site
from jobs.core.job import JobLog
from jobs.worker import entry


def endpoint_of(url: str, slug: str = "shop", types: tuple[str, ...] = ()) -> tuple[EventEndpoint, str]:
    """A new endpoint of a site, and its secret."""
    site = Site.objects.find_or_make(slug, who="tests")
    return EventEndpoint.objects.make(site, url, list(types), who="tests")


def run_due(**where: Any) -> int:
    """Works on all events that are due, as one batch; how many there were."""
    due = list(JobLog.objects.due().filter(**{"job_type": JOB_TYPE, **where}).order_by("-lane", "pk"))
    entry.run_many([(job.pk, job.attempt_count + 1) for job in due])
    return len(due)


def events() -> Any:
    """The jobs of all events."""
    return JobLog.objects.filter(job_type=JOB_TYPE).order_by("pk")
