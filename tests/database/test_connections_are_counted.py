"""E8: `doctor` compares the connections that the site and its clusters keep with what the server allows."""

import pytest

from jobs.cluster import clusters
from jobs.core import sql
from jobs.core.sql import statements
from notifier.ops import doctor
from notifier.ops.checks.findings import Finding, Verdict

pytestmark = pytest.mark.django_db


def finding(workers: int) -> Finding:
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=workers, version="1")
    (found,) = (finding for finding in doctor.examine() if finding.check == "connections")
    return found


def allowed() -> int:
    return sql.fetch_one(statements.COUNT_CONNECTIONS, [])[0]


def test_a_server_with_enough_connections_is_fine(settings):
    settings.WEB_WORKERS = 2
    found = finding(workers=2)
    assert found.verdict == Verdict.OK
    assert "need up to 17" in found.message


def test_a_server_with_too_few_connections_is_a_fault(settings):
    settings.WEB_WORKERS = 2
    found = finding(workers=allowed() - 10 - clusters.OTHER_CONNECTIONS)
    assert found.verdict == Verdict.FAULT
    assert "max_connections" in found.action
