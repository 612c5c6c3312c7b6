"""`make test` runs the suite on PostgreSQL and what depends on the engine on SQLite too."""

import os

import pytest
from django.db import connection


@pytest.mark.engine
@pytest.mark.django_db
def test_a_run_is_on_the_engine_it_was_asked_for():
    asked = "sqlite" if os.environ.get("TEST_ENGINE") == "sqlite" else "postgresql"
    assert connection.vendor == asked
