"""The stand of the chaos run: PostgreSQL, Redis, mail server, receiver, two web hosts behind a proxy, clusters.

Every setting is as shipped, but for the mail server's patience: EMAIL_TIMEOUT is 5 s, so that more faults fit in a run.
The database is reached through an address that can move to a standby (tests/support/faults.py, Switch).
"""

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import redis

from tests.chaos.load import request
from tests.chaos.mail_server import MailServer
from tests.chaos.prober import STATIC
from tests.support.clusters import Qcluster
from tests.support.faults import REPLICATION, Standby, Switch
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.postgres import Postgres, die_with_parent
from tests.support.receiver import Receiver
from tests.support.site import ROOT, Site

WORKERS, WEB_HOSTS = 2, 2
DISK_MB = 1_000  # half an hour of jobs fills 500
CLONE_NEWNS = 0x00020000
SHARE = "-5"  # the niceness of a session's group: three times the share of another, as CPUWeight=300 in deploy/systemd
DATABASE = {
    **REPLICATION,
    "synchronous_commit": "on",  # a commit that was acknowledged survives a kill
    "max_connections": "60",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
}
NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null emerg;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream notifier {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location = {static} {{ return 200; }}
        location / {{
            proxy_pass http://notifier; proxy_set_header Host $http_host; proxy_http_version 1.1;
            proxy_connect_timeout 1s; proxy_read_timeout 60s; proxy_set_header Connection "";
        }}
    }}
}}
"""


class SmallDisk(Postgres):
    """A PostgreSQL whose data are on a disk of DISK_MB; `fill` leaves no room on it."""

    @property
    def filler(self) -> Path:
        return self.folder / "data" / "filler"

    def fill(self) -> None:
        """Take all the room that is left."""
        with self.filler.open("wb") as out:
            try:
                while True:
                    out.write(b"x" * 65536)
                    out.flush()
            except OSError:
                return

    def free(self) -> None:
        """Give it back, and start the server if it gave up."""
        self.filler.unlink(missing_ok=True)
        if self.process and self.process.poll() is not None:
            self.start()

    def remove(self) -> None:
        self.kill()
        subprocess.run(["umount", self.data], capture_output=True)
        super().remove()

    def create_data(self) -> None:
        self.data.mkdir()
        size = f"size={DISK_MB}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"{size},mode=0700", "tmpfs", self.data], check=True)
        if self.user:
            shutil.chown(self.data, self.user)
        super().create_data()


class SmallStandby(SmallDisk, Standby):
    """A standby on such a disk."""


class Stand:
    """Everything that runs. namespaces: whether disks can be mounted and packets dropped."""

    def __init__(self, site: Site, folder: Path, *, clusters: int, seed: int, namespaces: bool) -> None:
        self.site, self.folder, self.random, self.namespaces = site, folder, random.Random(seed), namespaces
        self.postgres: Postgres = SmallDisk(**DATABASE) if namespaces else Postgres(**DATABASE)
        self.postgres.start()
        self.postgres.execute("CREATE DATABASE chaos")
        self.switch = Switch(self.postgres.port).__enter__()
        self.redis_port = free_port()
        self.smtp = MailServer(site.email_port, folder)
        self.smtp.start()
        site.environment |= {
            "DATABASE_URL": f"postgres://postgres@127.0.0.1:{self.switch.port}/chaos",
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "EMAIL_TIMEOUT": "5",
            "Q_WORKERS": str(WORKERS),
            "API_RATE": "1000000/m",
            "EVENT_ALLOW_PRIVATE": "1",
        }
        self.redis = self._start_redis()
        self.site.manage("migrate")
        self.key = self.site.manage("create_api_key", "chaos", "--scope", "enqueue").split()[-1]
        self.receiver = Receiver().__enter__()
        self.site.manage("create_event_endpoint", "chaos", self.receiver.url)
        self.web_ports = [free_port() for _ in range(WEB_HOSTS)]
        self.web = [self._start_web(port) for port in self.web_ports]
        self.port = free_port()
        self.proxy = self._start_proxy()
        self.clusters = [self.new_cluster() for _ in range(clusters)]
        for cluster in self.clusters:
            cluster.ready(WORKERS)

    def new_cluster(self) -> Qcluster:
        return Qcluster(self.site.environment, self.folder / "clusters.log")

    def any_cluster(self) -> Qcluster:
        return self.random.choice(self.clusters)

    def replace_cluster(self, end: Callable[[Qcluster], object]) -> None:
        """Ends a cluster and starts another, as systemd would."""
        number = self.random.randrange(len(self.clusters))
        end(self.clusters[number])
        self.clusters[number].process.wait(60)
        self.clusters[number] = self.new_cluster()

    def in_flight(self) -> int:
        """How many jobs the workers are running."""
        return len(self.postgres.query("SELECT FROM job_logs WHERE status = 'processing'", "chaos"))

    def end_connections(self) -> None:
        self.postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'chaos'")

    def fail_over(self) -> None:
        """Loses the primary; its standby, which has acknowledged every commit, takes its place and its address."""
        standby = SmallStandby(self.postgres) if self.namespaces else Standby(self.postgres)
        standby.start()
        self.postgres.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")  # commits wait for the standby
        self.postgres.execute("SELECT pg_reload_conf()")
        eventually(standby.replayed, seconds=60)
        lost, self.postgres = self.postgres, standby
        lost.kill()
        standby.promote()
        self.switch.point_to(standby.port)
        lost.remove()

    def kill_everything(self) -> None:
        """SIGKILL to all but the mail server and the proxy, as when a machine loses its power."""
        for cluster in self.clusters:
            cluster.kill_everything()
        for process in [*self.web, self.redis]:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.postgres.kill()

    def start_everything(self) -> None:
        self.postgres.start()
        self.redis = self._start_redis()
        self.clusters = [self.new_cluster() for _ in self.clusters]
        self.web = [self._start_web(port) for port in self.web_ports]

    def roll_web(self) -> None:
        """Restarts one web host after the other; the proxy passes requests on to the other one meanwhile."""
        for number, port in enumerate(self.web_ports):
            self.web[number].terminate()
            self.web[number].wait(60)
            self.web[number] = self._start_web(port)

    def reload_web(self) -> None:
        """SIGHUP to every web host, and wait until each has ended its old processes."""
        old = [child for process in self.web for child in psutil.Process(process.pid).children()]
        for process in self.web:
            process.send_signal(signal.SIGHUP)
        psutil.wait_procs(old, timeout=60)

    def close(self) -> list[int]:
        """Ends everything; the clusters' exit codes."""
        codes = [cluster.end() for cluster in self.clusters]
        for process in [self.proxy, *self.web, self.redis]:
            process.terminate()
        self.smtp.kill()
        self.receiver.__exit__(None, None, None)
        self.switch.__exit__(None, None, None)
        self.postgres.remove()
        return codes

    def _start_redis(self) -> "subprocess.Popen[bytes]":
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.redis_port), "--save", "", "--dir", "/tmp"]
        process = self._start(command, "redis.log")
        eventually(lambda: _redis_answers(self.redis_port))
        return process

    def _start_web(self, port: int) -> "subprocess.Popen[bytes]":
        """Start a gunicorn with the share of deploy/systemd, where that is allowed, and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "notifier.wsgi", "--bind", f"127.0.0.1:{port}"]
        process = self._start(command, "web.log")
        with suppress(OSError):
            Path(f"/proc/{process.pid}/autogroup").write_text(SHARE)
        eventually(lambda: request(port, "GET", "/healthz")[0] == 200, seconds=60)
        return process

    def _start_proxy(self) -> "subprocess.Popen[bytes]":
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in self.web_ports)
        text = NGINX.format(folder=self.folder, servers=servers, port=self.port, static=STATIC)
        (self.folder / "nginx.conf").write_text(text)
        command = ["nginx", "-c", str(self.folder / "nginx.conf"), "-e", str(self.folder / "nginx.log")]
        return self._start(command, "nginx.out")

    def _start(self, command: list[str], log: str) -> "subprocess.Popen[bytes]":
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.site.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )


def own_mounts() -> bool:
    """Put this thread into a mount namespace of its own, whose disks vanish with it; False where that is refused."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNS):
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


def _redis_answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
