"""How quick every page of the admin is on the database of DATABASE_URL: times, queries and plans, as Markdown.

    DATABASE_URL=postgres://... python -m tests.support.admin_at_scale [--rounds 40] > docs/admin-at-scale.md

Fill the database before with `manage.py migrate` and `make seed N=5000000 USERS=500000`. It writes nothing but an
operator and his session, which it removes, and the audit entries of his searches. Exit code 1 when a page is slower
than LIMIT_MS at p95, or asks another number of queries from one round to the next.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

import django

LIMIT_MS = 300
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
os.environ.setdefault("DEBUG", "1")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.user import User  # noqa: E402
from jobs.core.job import JobLog, Status  # noqa: E402

LIST = "/admin/jobs/joblog/"


def say(line: str) -> None:
    """A line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Page:
    """A page to measure; with `posted`, a form that is posted to it."""

    name: str
    path: str
    posted: dict[str, str] | None = None


def pages() -> list[Page]:
    """Return every operators' page, and the searches."""
    dead = JobLog.objects.dead().order_by("-pk").first()
    done = JobLog.objects.filter(status=Status.COMPLETED).order_by("pk").first()
    user = User.objects.filter(is_staff=False).order_by("-pk").first()
    if dead is None or done is None or user is None:
        sys.exit("There are no jobs or no users here: make seed N=5000000 USERS=500000")
    return [
        *[Page(f"overview, {span}", f"/admin/?span={span}") for span in ("1h", "24h", "7d")],
        *[Page(f"jobs: {name}", f"{LIST}?{query}") for name, query in lists(dead, done).items()],
        *job_pages(dead, done),
        *people_pages(user, dead),
        *[Page(name, f"/admin/{path}") for name, path in OTHERS.items()],
    ]


def lists(dead: JobLog, done: JobLog) -> dict[str, str]:
    """Return the views of the list of jobs: names and query strings."""
    middle = JobLog.objects.filter(pk__gt=(dead.pk + done.pk) // 2).order_by("pk")[0]
    month_ago, week_ago = (f"{timezone.now() - timedelta(days=days):%Y-%m-%dT%H:%M}" for days in (28, 7))
    return {
        "needs attention": "",
        "all": "status=all",
        "completed": "status=completed",
        "waiting, oldest first": "status=enqueued&order=oldest",
        "dead letters": "status=dlq",
        "discarded": "status=discarded",
        "deep page of all": f"status=all&cursor={middle.pk}",
        "one user": f"user={middle.user_id}",
        "a job id": f"q={middle.job_id}",
        "an unknown job id": "q=unknown-id",
        "completed within an hour": "status=completed&within=1h",
        "all of four weeks ago": f"status=all&before={month_ago}",
        "completed of one week, oldest first": f"status=completed&after={month_ago}&before={week_ago}&order=oldest",
        "dead letters of one error": f"status=dlq&fingerprint={dead.fingerprint}",
        "dead letters before last week": f"status=dlq&before={week_ago}",
        "five attempts or more, needs attention": "status=wrong&attempts=5",
        "of one source": "status=all&source=shop",
        "of one type and lane": f"status=all&type={dead.job_type}&lane={dead.lane}",
    }


def job_pages(dead: JobLog, done: JobLog) -> list[Page]:
    return [
        Page("dead letters by error", f"{LIST}dead-letters/"),
        Page("dead letters by error, of a day", f"{LIST}dead-letters/?within=24h"),
        Page("dead letters by error, of one reason", f"{LIST}dead-letters/?reason={dead.dlq_reason}"),
        Page("preview of a bulk replay", f"{LIST}replay/?status=dlq"),
        Page("a dead letter", f"{LIST}{dead.pk}/change/"),
        Page("a completed job", f"{LIST}{done.pk}/change/"),
        Page("its mail", f"{LIST}{dead.pk}/mail/mn/html/"),
        Page("filter by an address", f"{LIST}search/", {"q": str(done.payload.get("email", "a@example.com"))}),
        Page("filter by an unknown address", f"{LIST}search/", {"q": "unknown@example.com"}),
    ]


def people_pages(user: User, dead: JobLog) -> list[Page]:
    """Return the page of a person, and the search for everything that it finds."""
    sought = {
        "a user name": user.username,
        "a full name": user.get_full_name(),
        "a first name of many": user.first_name,
        "an address": user.email,
        "a number": str(user.pk),
        "a job id": dead.job_id,
        "an error": dead.fingerprint,
        "a sign-in": str(user.sign_ins.latest("at").pk) if user.sign_ins.exists() else "x",
        "nothing": "no such thing",
    }
    return [
        Page("a person", f"/admin/accounts/user/{user.pk}/person/"),
        Page("an account", f"/admin/accounts/user/{user.pk}/change/"),
        *[Page(f"search: {name}", "/admin/accounts/user/find/", {"q": text}) for name, text in sought.items()],
    ]


OTHERS = {
    "all tables": "tables/",
    "sending": "jobs/jobtypestate/",
    "schedules": "jobs/schedulestate/",
    "workers": "jobs/cluster/",
    "alerts": "jobs/alertstate/",
    "bulk replays": "jobs/bulkreplay/",
    "audit": "jobs/auditentry/",
    "audit: search": "jobs/auditentry/?q=saraa",
    "sites": "accounts/site/",
    "API keys": "accounts/apikey/",
    "event endpoints": "accounts/eventendpoint/",
    "people": "accounts/user/",
    "people: search": "accounts/user/?q=seed",
    "sign-ins": "accounts/signin/",
    "suppressed addresses": "accounts/suppressedaddress/",
    "pending requests": "accounts/pendingrequest/",
    "email addresses": "account/emailaddress/",
}


def measure(client: Client, page: Page, rounds: int) -> tuple[list[float], set[int], list[dict[str, str]]]:
    """Milliseconds of each round, the numbers of queries, and the queries of the last. The first is not counted."""
    times: list[float] = []
    counts: set[int] = set()
    for at in range(rounds + 1):
        connection.queries_log.clear()  # it holds 9,000 and counts no further
        with CaptureQueriesContext(connection) as captured:
            begin = time.perf_counter()
            answer = client.get(page.path) if page.posted is None else client.post(page.path, page.posted)
            took = 1000 * (time.perf_counter() - begin)
        if answer.status_code != 200 and not (page.posted and answer.status_code == 302):
            sys.exit(f"{page.path} answered {answer.status_code}")
        if at:
            times.append(took)
            counts.add(len(captured.captured_queries))
    return times, counts, captured.captured_queries


def plan_of(queries: list[dict[str, str]]) -> str:
    """The plan of the slowest query of a page that reads the jobs."""
    reading = [query for query in queries if '"job_logs"' in query["sql"] and query["sql"].startswith("SELECT")]
    if not reading:
        return ""
    slowest = max(reading, key=lambda query: float(query["time"]))["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF) {slowest}".replace("%", "%%"), [])
        return "\n".join(row[0] for row in cursor.fetchall())


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=40)
    rounds = options.parse_args().rounds
    settings.ALLOWED_HOSTS = ["*"]
    name = f"bench-{os.getpid()}"
    user = User.objects.create_superuser(name)
    try:
        client = Client()
        client.force_login(user)
        JobLog.objects.filter(user_id=str(user.pk), status=Status.ENQUEUED).delete()
        return report(client, rounds)
    finally:
        user.delete()


def report(client: Client, rounds: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint, pg_total_relation_size(oid) FROM pg_class WHERE relname = 'job_logs'")
        rows, size = cursor.fetchone()
    dead, users = JobLog.objects.dead().count(), User.objects.count()
    say(f"{rows:,} jobs, {size / 2**30:.1f} GiB with indexes; {dead:,} dead letters; {users:,} users;")
    say(f"{rounds} rounds a page;")
    load = os.getloadavg()[0]
    say(f"PostgreSQL {connection.pg_version // 10000}; {os.cpu_count()} cores, load {load:.1f} at the start.\n")
    say("| page | p50 ms | p95 ms | queries |\n| --- | ---: | ---: | ---: |")
    plans, wrong = [], []
    for page in pages():
        name = page.name
        times, counts, queries = measure(client, page, rounds)
        p95 = statistics.quantiles(times, n=20)[-1]
        say(f"| {name} | {statistics.median(times):.0f} | {p95:.0f} | {', '.join(map(str, sorted(counts)))} |")
        plans.append((name, plan_of(queries)))
        if p95 > LIMIT_MS or len(counts) > 1 or "Seq Scan on job_logs" in plans[-1][1]:
            wrong.append(name)
    say("\n## The plan of each page's slowest query\n")
    for name, plan in plans:
        if plan:
            say(f"{name}\n\n```\n{plan}\n```\n")
    say(f"Over the limits: {', '.join(wrong)}" if wrong else "No page is over the limits.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
