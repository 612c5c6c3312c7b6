"""The floors: the rates of one process that does only the sending, or only the ledger's writes."""

import smtplib
import time

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.contenders import named
from benchmarks.payloads import payload
from benchmarks.services import Services
from benchmarks.testbed import Testbed

ADDRESSES = ("no-reply@example.mn", "person@example.mn")


def bare_smtp(services: Services, mails: int) -> float:
    """Return the emails a second of an smtplib loop that sends one finished email over one connection."""
    body = "\r\n".join(["Сайн байна уу?"] * 120)
    mail = f"Subject: sign-in\r\nX-Entity-Ref-ID: floor@example.mn\r\n\r\n{body}\r\n".encode()
    services.sink.request("reset", 0)
    with smtplib.SMTP("127.0.0.1", services.sink.port) as smtp:
        smtp.sendmail(*ADDRESSES, mail)
        started = time.perf_counter()
        for _ in range(mails):
            smtp.sendmail(*ADDRESSES, mail)
        return mails / (time.perf_counter() - started)


def bare_ledger(services: Services, jobs: int) -> float:
    """Return the jobs a second of a loop that only makes the ledger's three writes, each with its commit."""
    testbed = Testbed(named("huey"), services)
    testbed.fresh()
    try:
        with psycopg.connect(testbed.environment["DATABASE_URL"], autocommit=True) as connection:
            started = time.perf_counter()
            for number in range(jobs):
                write_three_times(connection, number)
            return jobs / (time.perf_counter() - started)
    finally:
        testbed.close()


def write_three_times(connection: psycopg.Connection, number: int) -> None:
    """Write the ledger of one job."""
    values = [str(number), Jsonb(payload(number))]
    query = "INSERT INTO bench_ledger (reference, payload, status) VALUES (%s, %s, 'enqueued') RETURNING id"
    row = connection.execute(query, values).fetchone()
    assert row
    connection.execute("UPDATE bench_ledger SET status = 'processing', started_at = now() WHERE id = %s", row)
    connection.execute("UPDATE bench_ledger SET status = 'completed', ended_at = now() WHERE id = %s", row)
