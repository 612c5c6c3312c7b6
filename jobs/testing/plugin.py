"""A pytest plugin: `pytest_plugins = ["jobs.testing.plugin"]` in conftest.py."""

from collections.abc import Callable

import pytest

from jobs.core.job import JobLog
from jobs.testing import run_jobs


@pytest.fixture
def run_enqueued_tasks(db: None) -> Callable[..., list[JobLog]]:  # noqa: ARG001  (the name asks for the database)
    """Return `jobs.testing.run_jobs`; the test may use the database."""
    return run_jobs
