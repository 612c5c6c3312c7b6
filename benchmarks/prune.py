"""The effect of pruning old jobs on the waits of new ones.     make prune-bench OLD=1000000 RATE=50

It creates its own database next to DATABASE_URL's, fills it with OLD completed jobs of 100 days ago, starts a worker
(with the locmem email backend) and enqueues RATE jobs a second while `prune_jobs` runs. It prints the longest wait from
due to claimed, before and during the pruning.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from jobs.queue.enqueue import enqueue

ROOT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
OLD, RATE = int(os.environ.get("OLD", 1_000_000)), int(os.environ.get("RATE", 50))
QUIET_SECONDS = 20
DATABASE = "notifier_prune_bench"
FILL = """
INSERT INTO job_logs (job_id, job_type, user_id, source, status, payload, error, stack_trace, error_class, fingerprint,
  dlq_reason, attempt_count, max_attempts, lost_count, replayed_automatically, created_at, run_at, expires_at, worker,
  processing_at, processed_at)
SELECT 'old-' || n, 'signin-notification', (n % 50000)::text, 'signal', 'completed',
  jsonb_build_object('email', 'u' || n || '@example.mn', 'name', 'Bat', 'ipAddress', '203.0.113.7', 'locale', 'mn'),
  '', '', '', '', '', 1, 5, 0, false, t, t, t, 'bench', t, t
FROM (SELECT n, now() - interval '100 days' + n * interval '1 millisecond' AS t FROM generate_series(1, {old}) n) s
"""
WAITS = """
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY w), percentile_cont(0.99) WITHIN GROUP (ORDER BY w), max(w)
FROM (SELECT extract(epoch FROM processing_at - run_at) * 1000 AS w FROM job_logs
      WHERE source = 'bench' AND created_at >= %s AND created_at < %s) s
"""


def main() -> None:
    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{DATABASE}"))
    admin = urlunsplit(urlsplit(url)._replace(path="/postgres"))
    environment = {**os.environ, "DEBUG": "1", "DATABASE_URL": url}
    environment |= {"EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
        try:
            run(url, environment)
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def run(url: str, environment: dict[str, str]) -> None:
    """Measure once and print the result."""
    subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], env=environment, check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.format(old=OLD).encode())
        connection.execute(
            "INSERT INTO jobs_leaderlease (name, acquired_at) VALUES ('prune', now())"
        )  # so that the worker does not prune
        connection.execute("VACUUM ANALYZE")
        worker = subprocess.Popen([*MANAGE, "qcluster"], env=environment, stderr=subprocess.DEVNULL)
        feeder = subprocess.Popen([sys.executable, __file__, "feed"], env=environment, stderr=subprocess.DEVNULL)
        try:
            time.sleep(10)
            times = [now(connection)]
            time.sleep(QUIET_SECONDS)
            times.append(now(connection))
            started = time.monotonic()
            done = subprocess.run(
                [*MANAGE, "prune_jobs"], env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            seconds = time.monotonic() - started
            times.append(now(connection))
        finally:
            feeder.terminate()
            feeder.wait(30)
            time.sleep(5)
            worker.terminate()
            worker.wait(90)
        print(done.stdout.rstrip())
        print(f"{OLD} old jobs pruned in {seconds:.0f} s ({OLD / seconds:.0f}/s) while {RATE} jobs/s ran")
        for name, begin, end in (("before", *times[:2]), ("meanwhile", *times[1:])):
            jobs, half, most, longest = connection.execute(WAITS, [begin, end]).fetchone()
            print(f"{name:<10}{jobs:>7} jobs, waited ms: p50 {half:.0f}, p99 {most:.0f}, longest {longest:.0f}")


def now(connection: psycopg.Connection) -> object:
    """Return the database's time."""
    return connection.execute("SELECT clock_timestamp()").fetchone()[0]


def feed() -> None:
    """Enqueue RATE jobs a second until killed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.utils import timezone

    started = time.monotonic()
    for number in range(100_000_000):
        time.sleep(max(0.0, started + number / RATE - time.monotonic()))
        payload = {"userId": "1", "email": "bat@example.mn", "name": "Bat", "provider": "github", "ipAddress": ""}
        payload |= {"browser": "", "system": "", "timestamp": timezone.now().isoformat(), "locale": "mn"}
        payload |= {"timezone": "Asia/Ulaanbaatar", "newDevice": False, "moreSignIns": 0}
        enqueue("signin-notification", payload, job_id=f"b{number}", user_id=f"b{number}", source="bench")


if __name__ == "__main__":
    feed() if sys.argv[1:] == ["feed"] else main()
