"""Applications of other sites (tests/apps) with the packed TypeScript client, and a visitor who keeps cookies."""

import base64
import hashlib
import hmac
import http.cookiejar
import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Self

from tests.support.machine import eventually
from tests.support.npm import CLIENT, QUIET, npm
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"


def installed_applications(folder: Path, package: Path) -> Path:
    """Copy tests/apps, install their packages and the packed client, and add the client's examples."""
    copy = folder / "apps"
    shutil.copytree(ROOT / "tests/apps", copy, ignore=shutil.ignore_patterns("node_modules", ".next"))
    for name in ("authjs", "better-auth"):
        shutil.copytree(CLIENT / "examples" / name, copy / name / "example")
    npm(copy, "ci", *QUIET)
    npm(copy, "install", *QUIET, "--no-save", "--offline", str(package))
    return copy


class Application:
    """A server of another site, started by a command that contains its port; a context manager."""

    def __init__(self, command: list[str], folder: Path, port: int, **environment: str) -> None:
        self.url, self.port = f"http://localhost:{port}", port
        self.command, self.folder = command, folder
        self.environment = {**os.environ, "NO_COLOR": "1", "NEXT_TELEMETRY_DISABLED": "1", **environment}
        self.secret = self.environment["NOTIFIER_EVENTS_SECRET"]
        self.output = folder / f"output-{port}.txt"

    def __enter__(self) -> Self:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        eventually(self._answers, seconds=120)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    @property
    def log(self) -> str:
        """All that the server has printed."""
        return self.output.read_text(errors="replace")

    def send(self, path: str, kind: str, data: dict[str, object], *, secret: str = "") -> int:
        """Post an event as Notifier does, by default with the secret; return the status of the response."""
        body = json.dumps({"type": kind, "timestamp": "2026-03-01T02:00:00Z", "data": data})
        event, now = f"evt_{secrets.token_hex(16)}", str(int(time.time()))
        key = base64.b64decode((secret or self.secret).removeprefix("whsec_"))
        signature = hmac.digest(key, f"{event}.{now}.{body}".encode(), hashlib.sha256)
        headers = {"Content-Type": "application/json", "webhook-id": event, "webhook-timestamp": now}
        headers["webhook-signature"] = "v1," + base64.b64encode(signature).decode()
        request = urllib.request.Request(self.url + path, body.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            with urllib.request.urlopen(self.url, timeout=20):
                return True
        except urllib.error.HTTPError as refused:
            refused.close()
            return True
        except OSError:
            return False


def next_application(folder: Path, name: str, port: int, **environment: str) -> Application:
    """Build a Next.js application, without the settings of its Notifier; return it, not started."""
    program = folder / "node_modules/next/dist/bin/next"
    npm(folder, "exec", "--offline", "--", "next", "build", name)
    command = [shutil.which("node") or "", str(program), "start", name, "--port", str(port)]
    return Application(command, folder, port, **environment)


def worker_application(folder: Path, port: int, **environment: str) -> Application:
    """Return the Worker of tests/apps/worker with the client's modules, not started."""
    here = folder / "worker"
    shutil.copytree(folder / "node_modules/@yellowbooks/notifier/dist/esm", here / "dist")
    config = here / "config.capnp"
    config.write_text(config.read_text().replace("127.0.0.1:PORT", f"127.0.0.1:{port}"))
    (program,) = folder.glob("node_modules/@cloudflare/workerd-*/bin/workerd")
    return Application([str(program), "serve", str(config)], here, port, **environment)


class Visitor:
    """A browser without scripts: it keeps cookies and follows redirects."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, path: str, body: bytes | None = None, **headers: str) -> str:
        """Return the page after all redirects. path: of the application, or a whole URL."""
        address = urllib.parse.urljoin(self.application.url, path)
        given = {"User-Agent": CHROME, "X-Forwarded-For": "203.0.113.7", "Origin": self.application.url, **headers}
        with self.opener.open(urllib.request.Request(address, body, given), timeout=30) as answer:
            return answer.read().decode()

    def cookie(self, name: str) -> str:
        """Return the value of a cookie; "" when it is missing."""
        return next((cookie.value or "" for cookie in self.cookies if cookie.name == name), "")
