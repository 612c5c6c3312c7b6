"""A page costs the same number of queries whatever it shows, counts nothing to its end, and gives up in time."""

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from accounts.sites.admin import statistics
from accounts.sites.site import Site
from jobs.admin.pages.dead_letters import load_groups
from jobs.admin.parts import paging
from jobs.admin.parts.filters import JobFilter
from jobs.core.job import JobLog, Status
from tests.support.operators import EVERYTHING, LIST, job, signed_in, tried

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.mark.parametrize(
    ("address", "ceiling"),
    [("", 24), ("?status=all", 24), ("?q=job-1", 24), ("dead-letters/", 13), ("export.csv?status=all", 12)],
)
def test_the_lists_cost_the_same_for_one_job_and_for_many(address, ceiling, django_assert_max_num_queries):
    client = signed_in(*EVERYTHING)
    job("job-1")

    def count():
        with django_assert_max_num_queries(ceiling) as captured:
            b"".join(client.get(LIST + address))
        return len(captured.captured_queries)

    count()
    one = count()
    for number in range(2, 45):
        job(f"job-{number}", fingerprint=f"Error {number}")
    assert count() == one


def test_the_page_of_a_job_costs_the_same_for_one_attempt_and_for_many(django_assert_max_num_queries):
    client = signed_in(*EVERYTHING)
    dead = job("a")

    def count():
        with django_assert_max_num_queries(13) as captured:
            client.get(f"{LIST}{dead.pk}/change/")
        return len(captured.captured_queries)

    count()
    one = count()
    for number in range(1, 80):
        tried(dead, number)
    assert count() == one
    page = client.get(f"{LIST}{dead.pk}/change/").content.decode()
    assert "Attempt 79: failed" in page
    assert "earlier attempts are not shown" in page


def test_a_count_stops_at_its_cap_and_says_so(monkeypatch):
    monkeypatch.setattr(paging, "COUNT_LIMIT", 3)
    client = signed_in(*EVERYTHING)
    for number in range(5):
        job(f"job-{number}", Status.COMPLETED)
    tabs = {tab["name"]: tab["count"] for tab in client.get(LIST).context["tabs"]}
    assert (tabs["completed"], tabs["dlq"]) == ("3+", "0")


def test_a_view_that_takes_too_long_is_given_up_and_the_connection_goes_on(monkeypatch):
    if connection.vendor != "postgresql":  # only PostgreSQL ends a statement by time
        return
    monkeypatch.setattr(paging, "PAGE_TIMEOUT_MS", 20)
    with pytest.raises(paging.TooBroad), paging.time_limit():
        list(JobLog.objects.raw("SELECT 1 AS id FROM pg_sleep(5)"))
    assert JobLog.objects.count() == 0


PLANS = {
    "status=wrong": "job_wrong",
    "status=discarded": "job_discarded",
    "status=all": "job_logs_pkey",
    "status=completed": "job_logs_pkey",
    "status=completed&within=1h": "job_logs_pkey",
    "status=dlq&fingerprint=SMTP 451": "job_dead_",  # of two indexes that begin with it
    "q=job-7": "job_logs_job_id",
    "user=77": "job_user_type_created",
}


def test_no_view_of_200_000_jobs_reads_the_whole_table():
    if connection.vendor != "postgresql":
        return
    fill(200_000)
    for query, index in PLANS.items():
        explained = plan(query)
        assert (query, "Seq Scan" in explained, index in explained) == (query, False, True), explained


def test_dead_letters_are_grouped_by_one_index():
    if connection.vendor != "postgresql":
        return
    fill(50_000)
    with CaptureQueriesContext(connection) as captured, paging.time_limit(one_index=True):
        load_groups()
        query = captured.captured_queries[-1]["sql"]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query}")
            said = str(cursor.fetchall())
    assert "Seq Scan" not in said
    assert "Bitmap" not in said


def test_the_numbers_of_a_site_read_no_job_of_another():
    if connection.vendor != "postgresql":
        return
    site = Site.objects.make("shop", who="tests")
    fill(100_000)
    JobLog.objects.filter(user_id__endswith="7").update(source="shop")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE job_logs")
    with CaptureQueriesContext(connection) as captured:
        statistics.load_rows(site)
        statistics.count_notices([site])
    counts = [query["sql"] for query in captured if "AS counted" in query["sql"] and "job_logs" in query["sql"]]
    assert len(counts) == 3
    for query in counts:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query}")
            explained = str(cursor.fetchall())
        used = "job_site" in explained or "job_of_a_site" in explained
        assert ("Seq Scan" in explained, used) == (False, True), explained


def fill(many):
    """Finished jobs, and one in five hundred that is not."""
    template = job("template", Status.COMPLETED)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO job_logs (job_id, job_type, user_id, source, status, payload, error, stack_trace, error_class,"
            " fingerprint, dlq_reason, attempt_count, max_attempts, lost_count, "
            "replayed_automatically, expires_at, worker)"
            " SELECT 'job-' || n, job_type, (n %% 5000)::text, source, CASE WHEN n %% 500 = 0 THEN 'dlq'"
            " WHEN n %% 501 = 0 THEN 'discarded' ELSE 'completed' END,"
            " payload, '', '', '', "
            "CASE WHEN n %% 500 = 0 THEN 'SMTP 45' || n %% 3 ELSE '' END, '', 1, 5, 0, false, expires_at, ''"
            " FROM job_logs, generate_series(1, %s) n WHERE id = %s",
            [many, template.pk],
        )
        cursor.execute("ANALYZE job_logs")


def plan(query):
    """How PostgreSQL would read that view's page."""
    return JobFilter(QueryDict(query)).jobs().order_by("-pk")[:51].explain()
