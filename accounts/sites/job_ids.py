"""Job ids of other sites: stored as SOURCE:ID, so that sites cannot take each other's ids."""

from jobs.core.job import THIS_SITE, JobLog


def stored_id(source: str | None, job_id: str) -> str:
    """Return the id under which the job of a source is stored. This site's own ids are stored as they are."""
    return job_id if source in (None, THIS_SITE) else f"{_slug(str(source))}:{job_id}"


def own_id(job: JobLog) -> str:
    """Return the id of a job in the form that its source uses."""
    return own_form(job.source, job.job_id)


def own_form(source: str, job_id: str) -> str:
    """Return a stored id in the form that its source uses."""
    return job_id.removeprefix(stored_id(source, ""))


def _slug(source: str) -> str:
    """Return a source in the characters of a job id. Two sources never have the same: no source begins with "_"."""
    return source if " " not in source else "_" + source.replace("_", "__").replace(" ", "_-")
