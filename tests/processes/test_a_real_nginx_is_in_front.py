"""The shipped nginx configuration in a real nginx: it is valid, keeps the port, and logs no link and no address."""

import http.client
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.debian import Unpacked
from tests.support.machine import HERE, eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT, START_SECONDS, Site

pytestmark = pytest.mark.slow
TOKEN = "MTIzNDU2Nzg5MA:1vNsignedAndSecret:abcdefghijklmnopqrstuvwxyz0123456789"
LINK = f"/accounts/not-me/{TOKEN}/"
MAIN = """pid {folder}/pid;
error_log {folder}/log/global.log;
{user}
events {{}}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/notifier.conf;
}}
"""


@dataclass
class Nginx:
    """The proxy, its site, and what it has written."""

    folder: Path
    port: int
    site: Site

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        context.check_hostname = False
        client = http.client.HTTPSConnection(HERE, self.port, timeout=20, context=context)
        with closing(client):
            headers = {"Host": self.host, "User-Agent": "Tests/1.0", **headers}
            client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = client.getresponse()
            answer.text = answer.read().decode()  # type: ignore[attr-defined]
            return answer

    def logs(self) -> str:
        return "".join(file.read_text() for file in (self.folder / "log").iterdir())


def nginx_version() -> tuple[int, ...]:
    said = subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True).stderr
    return tuple(map(int, re.findall(r"\d+", said)[:3]))


def configuration(folder: Path, ports: dict[str, int], upstream: int) -> str:
    """The shipped file, with paths and ports of this machine."""
    text = (ROOT / "deploy/nginx/notifier.conf").read_text()
    text = text.replace("/etc/letsencrypt/live/example.mn", str(folder)).replace("/var/log/nginx", f"{folder}/log")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}").replace("server_name example.mn", "server_name _")
    text = re.sub(r"listen \[::\]:.*\n", "", text)
    if nginx_version() < (1, 25, 1):  # the older spelling of the same
        text = re.sub(r" +http2 on;.*\n", "", text).replace("listen 443 ssl;", "listen 443 ssl http2;")
    return text.replace("listen 80;", f"listen {ports['http']};").replace("listen 443", f"listen {ports['https']}")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory) -> Iterator[Nginx]:
    program = Unpacked("nginx", "nginx", "libpcre2-8-0")
    folder, ports = tmp_path_factory.mktemp("nginx"), {"http": free_port(), "https": free_port()}
    for above in (folder, *folder.parents[:3]):
        above.chmod(above.stat().st_mode | 0o055)
    (folder / "log").mkdir()
    certificate = ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem", "-subj", "/CN=localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *certificate],
        check=True,
        capture_output=True,
    )
    url = f"https://localhost:{ports['https']}"
    with Site(SITE_URL=url, ALLOWED_HOSTS="localhost", TRUSTED_PROXIES="127.0.0.1/32") as site:
        (folder / "notifier.conf").write_text(configuration(folder, ports, site.port))
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
        command = [program.program, "-p", folder, "-c", folder / "nginx.conf"]
        subprocess.run([*command, "-t"], env=program.environment, check=True)
        process = subprocess.Popen(
            [*command, "-g", "daemon off;"], env=program.environment, preexec_fn=lambda: die_with_parent()
        )
        site.processes["web"] = started(site)
        yield Nginx(folder, ports["https"], site)
        process.terminate()
        process.wait(20)


def started(site: Site) -> subprocess.Popen[bytes]:
    """gunicorn of the site; `Site.start` would ask for the sign-in page, which goes to https here."""
    web = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "notifier.wsgi"],
        cwd=ROOT,
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    eventually(lambda: site.get("/healthz")[0] == 200, START_SECONDS)
    return web


def form(nginx: Nginx, path: str) -> tuple[str, str]:
    """The CSRF token of a form, and the cookie that belongs to it."""
    page = nginx.request("GET", path)
    cookies = SimpleCookie(page.headers["Set-Cookie"])
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token, page.text
    return token[1], "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())


def test_a_form_is_accepted_at_a_host_with_a_port(nginx):
    token, cookie = form(nginx, "/accounts/password/reset/")
    body = urlencode({"csrfmiddlewaretoken": token, "email": "bat@example.mn"})
    sent = {"Cookie": cookie, "Content_Type": "application/x-www-form-urlencoded", "Referer": f"https://{nginx.host}/"}
    for origin, status in ((f"https://{nginx.host}", 302), ("https://localhost", 403), ("https://evil.test", 403)):
        answer = nginx.request("POST", "/accounts/password/reset/", body, Origin=origin, **sent)
        assert answer.status == status, (origin, answer.text[:300])


def test_the_site_learns_the_clients_scheme_and_not_what_the_client_claims(nginx):
    answer = nginx.request("GET", "/accounts/login/", X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="http")
    assert answer.status == 200, "a claimed http would be redirected to https"
    assert "max-age=" in answer.headers["Strict-Transport-Security"]


def test_no_log_has_a_link_or_an_address_whatever_fails(nginx):
    """The mail server's scanner, a broken client, a full limit and a site that is down, all on a link with a token."""
    nginx.request("GET", LINK)
    assert nginx.request("POST", LINK, "x" * 200_000).status == 413
    limited = {nginx.request("GET", f"/accounts/login/?next={LINK}").status for _ in range(60)}
    assert 429 in limited
    with closing(http.client.HTTPConnection(HERE, nginx.port, timeout=10)) as plain:
        plain.request("GET", LINK)
        assert plain.getresponse().status == 400, "http at the port of https"
    nginx.site.processes["web"].terminate()
    nginx.site.processes["web"].wait(30)
    assert nginx.request("GET", LINK).status == 502
    nginx.site.processes["web"] = started(nginx.site)
    logs = nginx.logs()
    for secret in (TOKEN, TOKEN[:12], "not-me", HERE, "csrfmiddlewaretoken"):
        assert secret not in logs, logs[-1000:]
