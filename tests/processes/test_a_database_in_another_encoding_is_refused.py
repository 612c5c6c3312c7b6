"""B6: a database that cannot hold every name is refused before it is used, with the command that makes a right one."""

import pytest

from tests.support.postgres import Postgres
from tests.support.site import Site

RIGHT = "createdb --encoding UTF8 --template template0"


@pytest.fixture
def site(own_postgres: Postgres):
    own_postgres.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with Site(DATABASE_URL=own_postgres.url("ascii")) as made:
        yield made


@pytest.mark.parametrize("command", [("migrate",), ("check", "--database", "default"), ("doctor",)])
def test_a_database_in_sql_ascii_is_refused_with_what_to_do(site, command):
    said = site.manage(*command, check=False)
    assert "SQL_ASCII" in said
    assert RIGHT in said


def test_a_site_on_a_database_in_sql_ascii_is_not_ready(site):
    site.manage("migrate", "--skip-checks")
    site.start("web")
    status, said = site.get("/readyz")
    assert (status, "SQL_ASCII" in said) == (503, True)
