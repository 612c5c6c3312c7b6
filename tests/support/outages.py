"""Four faults of a mail server under five sign-ins a second, with the shipped settings; no operator helps.

    python -m tests.support.outages [--only quota] [--rate 5]

A full disk for a minute (452), a relay denial for two, a quota whose window is five minutes, and a sender that is
refused for two minutes. Each has a site, a cluster and a mail server of its own; all run at the same time. Prints a
table: how soon the operators' overview named the cause, and how long after the end of the fault the last notice was
delivered. Exit code 1 when a notice was not delivered, or twice, or when the overview named the cause later than a
minute after the fault began.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass

import tests.support.environment  # noqa: F401  (before Django's settings are read)
from tests.support.clusters import Qcluster
from tests.support.postgres import die_with_parent
from tests.support.site import MANAGE, ROOT, Site
from tests.support.smtp_server import SmtpServer

BEFORE, AFTER = 15.0, 15.0  # seconds of load before the fault and after it
LONGEST = 900.0  # seconds until every notice must be delivered
A_MINUTE = 60.0


@dataclass
class Fault:
    """One fault of the mail server."""

    name: str
    seconds: float
    at: str
    answer: str
    named: str
    """Words of the server that the overview must show."""
    load: float = 0.0
    """Seconds of load while the fault lasts; 0: all of them."""


FAULTS = (
    Fault("452, the disk is full", 60, "RCPT", "452 4.3.1 Insufficient system storage", "Insufficient system storage"),
    Fault("relay denied", 120, "RCPT", "554 5.7.1 <{}>: Relay access denied", "Relay access denied"),
    Fault("quota", 300, "MAIL", "550 5.4.5 Daily user sending limit exceeded", "sending limit exceeded", load=120),
    Fault(
        "wrong sender",
        120,
        "RCPT",
        "553 5.7.1 <no-reply@example.mn>: Sender address rejected: not owned by user site",
        "Sender address rejected",
    ),
)
LOAD = """
import sys, time
from jobs.queue.enqueue import enqueue
payload = {"provider": "password", "ipAddress": "192.0.2.1", "browser": "Firefox", "system": "Linux", "name": "Bat",
           "timestamp": "2026-11-25T01:00:00+00:00", "locale": "mn", "timezone": "Asia/Ulaanbaatar", "newDevice": False}
rate, seconds = %f, %f
began = time.monotonic()
for number in range(int(rate * seconds)):
    time.sleep(max(0, began + number / rate - time.monotonic()))
    job_id = f"signin-{number}"
    mine = {**payload, "userId": job_id, "email": f"{job_id}@example.mn"}
    enqueue("signin-notification", mine, job_id=job_id, user_id=job_id)
"""
OVERVIEW = """
import time
from django.test import RequestFactory
from jobs.admin.pages import overview
until = time.monotonic() + %f
while time.monotonic() < until:
    said = " | ".join(w.what for w in overview.context(RequestFactory().get("/admin/"))["warnings"])
    if %r in said:
        print("named", flush=True)
        break
    time.sleep(0.5)
"""


@dataclass
class Result:
    """What one fault came to."""

    accepted: int
    delivered: int
    twice: int
    dead: int
    named_after: float | None
    """Seconds from the beginning of the fault until the overview named its cause; None: never."""
    last_after: float
    """Seconds from the end of the fault until the last notice was delivered."""

    @property
    def good(self) -> bool:
        return (
            self.delivered == self.accepted
            and not (self.twice or self.dead)
            and self.named_after is not None
            and self.named_after <= A_MINUTE
        )


class Run:
    """A site, a cluster and a mail server that has one fault."""

    def __init__(self, fault: Fault, rate: float) -> None:
        self.fault, self.rate = fault, rate
        self.smtp = SmtpServer(pipelining=True)
        self.smtp.start()
        self.site = Site(EMAIL_PORT=str(self.smtp.port))
        self.cluster = Qcluster(self.site.environment, self.site.folder / "worker.log")
        self.cluster.ready()

    def run(self) -> Result:
        """Let the fault happen; return what came of it."""
        fault = self.fault
        load = BEFORE + (fault.load or fault.seconds) + (0 if fault.load else AFTER)
        loading = self._shell(LOAD % (self.rate, load))
        time.sleep(BEFORE)
        self.smtp.behave(at=fault.at, answer=fault.answer)
        began = time.monotonic()
        watching = self._shell(OVERVIEW % (fault.seconds + A_MINUTE, fault.named))
        named: list[float] = []
        watcher = threading.Thread(
            target=lambda: named.append(time.monotonic() - began) if watching.stdout.readline() else None
        )
        watcher.start()
        time.sleep(max(0.0, began + fault.seconds - time.monotonic()))
        self.smtp.behave()
        ended = time.monotonic()
        loading.wait()
        accepted = int(self.rate * load)
        while len({mail.message_id for mail in self.smtp.mails}) < accepted and time.monotonic() - ended < LONGEST:
            time.sleep(0.2)
        last = max(mail.at for mail in self.smtp.mails) - (time.time() - (time.monotonic() - ended))
        watcher.join(2 * A_MINUTE)
        return self._result(accepted, named[0] if named else None, last)

    def _result(self, accepted: int, named_after: float | None, last_after: float) -> Result:
        time.sleep(3)  # a second email would come now
        sent = Counter(mail.message_id for mail in self.smtp.mails)
        ((dead,),) = self.site.sql("SELECT count(*) FROM job_logs WHERE status <> 'completed'")
        return Result(accepted, len(sent), sum(sent.values()) - len(sent), int(str(dead)), named_after, last_after)

    def _shell(self, code: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*MANAGE, "shell", "-v0", "-c", code],
            cwd=ROOT,
            env=self.site.environment,
            text=True,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )

    def close(self) -> None:
        """End everything."""
        self.cluster.kill_everything()
        self.smtp.stop()
        self.site.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=5, help="sign-ins a second")
    parser.add_argument("--only", default="", help="the faults whose name has these words")
    options = parser.parse_args()
    runs = [Run(fault, options.rate) for fault in FAULTS if options.only in fault.name]
    results: dict[str, Result] = {}
    threads = [threading.Thread(target=lambda run=run: results.update({run.fault.name: run.run()})) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        run.close()
    sys.stdout.write(table(runs, results))
    sys.exit(0 if len(results) == len(runs) and all(result.good for result in results.values()) else 1)


def table(runs: list[Run], results: dict[str, Result]) -> str:
    """Return the results as a table in Markdown."""
    head = ("fault", "lasted", "notices", "delivered", "twice", "left over", "named after", "last notice after the end")
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for run in runs:
        if found := results.get(run.fault.name):
            named = "never" if found.named_after is None else f"{found.named_after:.0f} s"
            seconds = f"{run.fault.seconds:.0f} s"
            counts = (found.accepted, found.delivered, found.twice, found.dead)
            cells = (run.fault.name, seconds, *map(str, counts), named, f"{found.last_after:.0f} s")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
