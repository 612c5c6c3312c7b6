"""A client of a `Site`: one that calls the API with a key, one with a browser, and one that says nothing."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.support.site import Site

PATIENCE = 20.0  # seconds a client waits: longer than any answer may take


class Response(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    text: str


class Caller:
    """Every call is a connection of its own. It needs a database when it is made, and none later."""

    def __init__(self, site: Site, port: int = 0) -> None:
        self.port = port or site.port
        scopes = ("--scope", "enqueue", "--scope", "read", "--scope", "admin")
        self.key = site.manage("create_api_key", "shop", *scopes).split()[-1]
        self._form: tuple[str, str] | None = None

    def call(self, method: str, path: str, body: str | None = None, **headers: str) -> Response:
        """One request. Raises OSError when it is not answered within PATIENCE."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            client.request(method, path, body, named)
            answer = client.getresponse()
            return Response(answer.status, answer.headers, answer.read().decode())
        finally:
            client.close()

    def get(self, path: str) -> Response:
        return self.call("GET", path)

    def post_notice(self, job_id: str, **fields: Any) -> Response:
        """Enqueues a notice over the API, for a user of its own."""
        job_id = re.sub(r"[^A-Za-z0-9._:-]", "-", job_id)
        notice = {
            "userId": job_id,
            "email": f"{job_id}@example.mn",
            "name": "Бат",
            "provider": "password",
            "ipAddress": "192.0.2.1",
            "userAgent": "Mozilla/5.0",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "jobId": job_id,
            **fields,
        }
        return self.call(
            "POST",
            "/api/jobs/signin-notification",
            json.dumps(notice),
            Content_Type="application/json",
            Authorization=f"Bearer {self.key}",
        )

    def sign_in(self, name: str = "unknown", password: str = "wrong") -> Response:
        """Posts the form of the sign-in, with the cookie and the token of a page that was loaded once."""
        if self._form is None:
            page = self.get("/accounts/login/")
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
            assert token, page.text
            cookies = "; ".join(value.partition(";")[0] for value in page.headers.get_all("Set-Cookie", []))
            self._form = token[1], cookies
        token_text, cookies = self._form
        form = urlencode({"login": name, "password": password, "csrfmiddlewaretoken": token_text})
        return self.call(
            "POST", "/accounts/login/", form, Content_Type="application/x-www-form-urlencoded", Cookie=cookies
        )

    @contextmanager
    def silent_connections(self, number: int) -> Iterator[None]:
        """Connections that send nothing."""
        with ExitStack() as stack:
            for _ in range(number):
                stack.enter_context(socket.create_connection(("127.0.0.1", self.port), PATIENCE))
            yield
