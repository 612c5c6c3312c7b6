"""The floors beside the contenders: what one process does of the outside work alone, with nothing around it."""

import smtplib
import time

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.contenders import named
from benchmarks.people import payload
from benchmarks.services import Services
from benchmarks.stands import Stand

ADDRESSES = ("no-reply@example.mn", "person@example.mn")


def bare_smtp(services: Services, mails: int) -> float:
    """Mails a second of a loop that sends a ready mail over one kept connection by smtplib."""
    body = "\r\n".join(["Сайн байна уу?"] * 120)
    mail = f"Subject: sign-in\r\nX-Entity-Ref-ID: floor@example.mn\r\n\r\n{body}\r\n".encode()
    services.sink.ask("reset", 0)
    with smtplib.SMTP("127.0.0.1", services.sink.port) as smtp:
        smtp.sendmail(*ADDRESSES, mail)
        began = time.perf_counter()
        for _ in range(mails):
            smtp.sendmail(*ADDRESSES, mail)
        return mails / (time.perf_counter() - began)


def bare_ledger(services: Services, jobs: int) -> float:
    """Jobs a second of a loop that makes the three writes of the ledger alone, each with its commit."""
    stand = Stand(named("huey"), services)
    stand.fresh()
    try:
        with psycopg.connect(stand.environment["DATABASE_URL"], autocommit=True) as connection:
            began = time.perf_counter()
            for number in range(jobs):
                write_three_times(connection, number)
            return jobs / (time.perf_counter() - began)
    finally:
        stand.close()


def write_three_times(connection: psycopg.Connection, number: int) -> None:
    """One job's ledger."""
    told = [str(number), Jsonb(payload(number))]
    query = "INSERT INTO bench_ledger (reference, payload, status) VALUES (%s, %s, 'enqueued') RETURNING id"
    row = connection.execute(query, told).fetchone()
    assert row
    connection.execute("UPDATE bench_ledger SET status = 'processing', started_at = now() WHERE id = %s", row)
    connection.execute("UPDATE bench_ledger SET status = 'completed', ended_at = now() WHERE id = %s", row)
