"""The faults that tests cause are real, and they end with their block."""

import socket

import psycopg
import pytest
import redis

from tests.support import faults, machine
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.postgres import Postgres

pytestmark = pytest.mark.world


def answers(url: str) -> bool:
    """Whether PostgreSQL answers a query within a second."""
    try:
        with psycopg.connect(url, connect_timeout=2, tcp_user_timeout=1000) as connection:
            connection.execute("SELECT 1")
        return True
    except psycopg.OperationalError:
        return False


def test_a_stopped_server_is_silent_and_then_goes_on(own_postgres):
    with faults.stopped(own_postgres.process):
        assert not answers(own_postgres.url())
    assert answers(own_postgres.url())


def test_a_stopped_redis_is_silent_and_then_goes_on(redis_url):
    with redis.Redis.from_url(redis_url, socket_timeout=0.3) as client:
        with faults.stopped(faults.redis_pid(redis_url)), pytest.raises(redis.TimeoutError):
            client.ping()
        assert client.ping()


def test_a_locked_table_can_not_be_read(own_postgres):
    own_postgres.execute("CREATE TABLE busy ()")
    with psycopg.connect(own_postgres.url(), autocommit=True) as other:
        other.execute("SET lock_timeout = '50ms'")
        with faults.locked_table(own_postgres.url(), "busy"), pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("SELECT FROM busy")
        other.execute("SELECT FROM busy")


def test_a_read_only_server_refuses_writes_of_open_connections_too(own_postgres):
    with psycopg.connect(own_postgres.url(), autocommit=True) as before:
        with faults.read_only(own_postgres):
            eventually(lambda: before.execute("SHOW transaction_read_only").fetchone() == ("on",))
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                before.execute("CREATE TABLE refused ()")
        eventually(lambda: before.execute("SHOW transaction_read_only").fetchone() == ("off",))


def test_no_connection_is_left_while_all_are_taken():
    with Postgres(max_connections="12") as server, psycopg.connect(server.url(), autocommit=True) as before:
        with faults.connections_taken(server):
            assert not answers(server.url())
            with pytest.raises(psycopg.OperationalError):
                before.execute("SELECT 1")
        eventually(lambda: answers(server.url()))


def test_a_standby_follows_and_is_promoted_behind_one_address(own_postgres):
    own_postgres.execute("CREATE TABLE followed (at int)")
    with faults.standby_of(own_postgres) as standby, faults.Switch(own_postgres.port) as switch:
        address = f"postgres://postgres@127.0.0.1:{switch.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("INSERT INTO followed VALUES (1)")
            eventually(standby.replayed)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                standby.execute("INSERT INTO followed VALUES (2)")
            own_postgres.kill()
            standby.promote()
            switch.point_to(standby.port)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("INSERT INTO followed VALUES (2)")
            assert connection.execute("SELECT count(*) FROM followed").fetchone() == (2,)


def test_a_silent_switch_keeps_connections_and_answers_nothing(own_postgres):
    with faults.Switch(own_postgres.port) as switch:
        address = f"postgres://postgres@127.0.0.1:{switch.port}/postgres"
        with psycopg.connect(address) as connection:
            with switch.silent(), pytest.raises(psycopg.OperationalError):
                psycopg.connect(address, connect_timeout=2)
            connection.execute("SELECT 1")


def test_packets_are_dropped_in_a_network_of_ones_own_alone():
    if not faults.can_drop_packets():
        machine.missing("iptables, or the right to use it,", "iptables")
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as outside, faults.own_network():
        with pytest.raises(ConnectionRefusedError):  # another network: no server listens there
            socket.create_connection(outside.getsockname(), 1)
        with socket.create_server(("127.0.0.1", port)):
            with faults.packets_dropped(port), pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), 0.5)
            socket.create_connection(("127.0.0.1", port), 5).close()
    with socket.create_server(("127.0.0.1", 0)) as again:
        socket.create_connection(again.getsockname(), 5).close()
