"""An outage: the mail server is dead for two minutes under load, with the default retries; then it answers again.

    python -m tests.support.outage [--seconds 120] [--clusters 2] [--rate 15]

No operator does anything. Prints what an operator could see meanwhile, and how long after the server's return the last
job was delivered; exit code 1 when a job is not delivered within a minute, or more mails went twice than were in flight
when the server was killed: it may have taken those, and could not say so.
"""

import argparse
import sys
import time
from collections import Counter

from tests.chaos.__main__ import FOLDER, say, set_up
from tests.chaos.load import Load
from tests.chaos.stand import Stand
from tests.support.site import Site

A_MINUTE = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clusters", type=int, default=2)
    parser.add_argument("--rate", type=float, default=15, help="jobs a second")
    options = parser.parse_args()
    stand = Stand(Site(), FOLDER, clusters=options.clusters, seed=0, namespaces=False)
    set_up(stand)
    load = Load(stand.port, stand.key, options.rate)
    load.start()
    time.sleep(10)
    say(f"the mail server dies, for {options.seconds:.0f} s")
    unanswered = stand.smtp.kill()
    time.sleep(options.seconds)
    say(f"what an operator sees: {seen()}")
    stand.smtp.start()
    back = time.monotonic()
    load.stop()
    while undelivered() and time.monotonic() - back < 3 * A_MINUTE:
        time.sleep(0.5)
    took, open_still = time.monotonic() - back, undelivered()
    mails = Counter(mail["message_id"] for mail in stand.smtp.mails())
    say(f"{len(load.accepted)} jobs, {len(mails)} delivered, {sum(mails.values()) - len(mails)} twice")
    say(f"the last one {took:.1f} s after the server's return; {open_still} open")
    stand.close()
    twice = sum(mails.values()) - len(mails)
    sys.exit(0 if not open_still and took <= A_MINUTE and twice <= unanswered else 1)


def seen() -> dict[str, int]:
    from django.db.models import Count

    from jobs.core.job import JobLog

    rows = JobLog.objects.exclude(fingerprint="").order_by().values_list("status", "error_class", "fingerprint")
    return {" ".join(row[:3]): row[3] for row in rows.annotate(Count("pk"))}


def undelivered() -> int:
    from jobs.core.job import JobLog, Status

    return JobLog.objects.exclude(status=Status.COMPLETED).count()


if __name__ == "__main__":
    main()
