"""The two versions of the upgrade test: the old one in a clone, with its own packages, and the one of this checkout."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from tests.support.clusters import Qcluster
from tests.support.machine import eventually
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT

OLD = "568114aa145fd4a3ae1fd74af618634256b1e718"
"""The first commit that has version 0.9.0 in its changelog, in its folders and in its migrations. No commit holds 0.9.0
and nothing else: this one has the first migrations of what came after it, too. The test therefore takes the database
back to FIRST, the tables of 0.9.0, before it upgrades."""

FIRST = ("accounts", "jobs")
"""The apps whose migration 0001_initial has the tables of 0.9.0."""

INSIDE = Path(__file__).with_name("inside.py")


class Version:
    """A folder with the code of a version, the Python that has its packages, and the environment of its site."""

    def __init__(self, folder: Path, python: Path, environment: dict[str, str]) -> None:
        self.folder, self.python = folder, python
        self.environment = {**environment, "PYTHONPATH": str(folder)}
        self.started: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: str) -> str:
        """Return what manage.py prints. RuntimeError with its output when it fails."""
        return self._run(str(self.folder / "manage.py"), *arguments)

    def inside(self, verb: str, *arguments: str) -> Any:
        """Return the result of a verb of inside.py."""
        return self.inside_all([verb, *arguments])[0]

    def inside_all(self, *verbs: list[str]) -> list[Any]:
        """Return the results of several verbs, each with its arguments, in one process."""
        return json.loads(self._run(str(INSIDE), json.dumps(verbs)).rpartition("\nRESULT ")[2])

    def statuses(self) -> dict[str, str]:
        """Return the status of each job, without starting a process of the version."""
        url = self.environment["DATABASE_URL"]
        file = url.removeprefix("sqlite:///")
        with closing(psycopg.connect(url) if file == url else sqlite3.connect(file)) as connection:
            return dict(connection.execute("SELECT job_id, status FROM job_logs").fetchall())

    def start_worker(self) -> Qcluster:
        """Start a cluster, and wait until it works."""
        log = Path(self.environment["VAR_DIR"], f"worker-{self.folder.name}.log")
        cluster = Qcluster(self.environment, log, manage=[self.python, self.folder / "manage.py"])
        self.started.append(cluster.process)
        before = log.read_text().count("cluster started")
        eventually(lambda: log.read_text().count("cluster started") > before or cluster.process.poll() is not None, 180)
        if cluster.process.poll() is not None:
            raise RuntimeError(log.read_text()[-3000:])
        return cluster

    def start_web(self) -> None:
        """Start gunicorn at PORT; the caller waits until it answers."""
        with Path(self.environment["VAR_DIR"], "web.log").open("ab") as log:
            command = [self.python, "-m", "gunicorn", "notifier.wsgi"]
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                                       start_new_session=True, preexec_fn=die_with_parent)  # fmt: skip
        self.started.append(process)

    def stop(self) -> None:
        """End what was started and still runs."""
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(60)

    def _run(self, *command: str) -> str:
        done = subprocess.run([self.python, *command], cwd=self.folder, env=self.environment, capture_output=True,
                              text=True, timeout=300)  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout


def old_version(folder: Path, environment: dict[str, str]) -> Version:
    """Clone the last version into `folder`, install its packages into .venv-0.9.0, and return it."""
    known = subprocess.run(["git", "cat-file", "-e", f"{OLD}^{{commit}}"], cwd=ROOT, capture_output=True)
    if known.returncode:
        sys.exit(f"This checkout has no history down to version 0.9.0 ({OLD[:7]}): git fetch --unshallow")
    clone, venv = folder / "0.9.0", ROOT / ".venv-0.9.0"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, clone], check=True)
    subprocess.run(["git", "-C", clone, "checkout", "--quiet", OLD], check=True)
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHON") if name in os.environ}
    subprocess.run(["scripts/bootstrap", "requirements.txt"], cwd=clone, env={**clean, "VENV": str(venv)}, check=True)
    return Version(clone, venv / "bin" / "python", environment)


def new_version(environment: dict[str, str]) -> Version:
    """Return the version of this checkout."""
    return Version(ROOT, Path(sys.executable), environment)
