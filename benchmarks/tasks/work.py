"""What the tasks do, for every queue: nothing, write a row, or take a while."""

import os
import time

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.tasks.settings")
if not apps.models_ready:
    django.setup()

from django.db import connection

from benchmarks.tasks import calls

BUSY_SECONDS = 0.1


def empty(number: int) -> None:
    """Only note the call."""
    calls.note(calls.ENDED, number)


def row(number: int) -> None:
    """Write a row, in a transaction of its own, with Django's connection."""
    calls.note(calls.ENDED, number)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_rows (number) VALUES (%s)", [number])


def busy(number: int) -> None:
    """Take BUSY_SECONDS, as a task does that waits for another service."""
    calls.note(calls.BEGAN, number)
    time.sleep(BUSY_SECONDS)
    calls.note(calls.ENDED, number)
