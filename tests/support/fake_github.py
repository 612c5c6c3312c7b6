"""GitHub as far as signing in goes, over real HTTP: consent, token (with PKCE), profile, addresses."""

import base64
import hashlib
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

ID, SECRET = "client-id", "client-secret"


class FakeGitHub:
    """Answers for one person at a time. profile, emails: what it tells; anything else than JSON is sent as it is.

    refuses: the person says no. silent: seconds before it tells the token. asked: paths in the order of the requests.
    """

    def __init__(self) -> None:
        self.reset()
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                github.asked.append(self.path)
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                if path == "/login/oauth/authorize":
                    return self.redirect(query["redirect_uri"][0], github.consent(query))
                if self.headers["Authorization"] != "token good":
                    return self.tell({"message": "Bad credentials"}, 401)
                return self.tell(github.emails if path.endswith("/emails") else github.profile)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                github.asked.append(self.path)
                github.silence.wait(github.silent)
                self.tell(github.token({name: values[0] for name, values in parse_qs(body).items()}))

            def redirect(self, where: str, query: dict[str, str]) -> None:
                self.send_response(302)
                self.send_header("Location", f"{where}?{urlencode(query)}")
                self.end_headers()

            def tell(self, what: Any, status: int = 200) -> None:
                body = what if isinstance(what, bytes) else json.dumps(what).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                with suppress(BrokenPipeError):  # the client has given up
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self, number: int = 1, login: str = "octo", email: str | None = "octo@example.mn") -> None:
        """A person who tells their address and says yes."""
        self.profile: Any = {"id": number, "login": login, "name": "Октябрь Бат", "email": None, "html_url": "x"}
        self.emails: Any = [{"email": email, "primary": True, "verified": True}] if email else []
        self.refuses, self.silent, self.silence = False, 0.0, threading.Event()
        self.asked: list[str] = []
        self.challenges: dict[str, str] = {}

    def consent(self, query: dict[str, list[str]]) -> dict[str, str]:
        """What the browser carries back; the code is good once."""
        if self.refuses:
            return {"error": "access_denied", "state": query["state"][0]}
        assert query["code_challenge_method"] == ["S256"]
        code = f"code{len(self.asked)}"
        self.challenges[code] = query["code_challenge"][0]
        return {"code": code, "state": query["state"][0]}

    def token(self, form: dict[str, str]) -> dict[str, str]:
        """A token for a code, its verifier and our secret; an error for anything else."""
        verifier = form.get("code_verifier", "").encode()
        proof = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        fits = self.challenges.pop(form.get("code", ""), None) == proof
        known = (form.get("client_id"), form.get("client_secret")) == (ID, SECRET)
        return (
            {"access_token": "good", "token_type": "bearer"} if fits and known else {"error": "bad_verification_code"}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.silence.set()
        self.server.shutdown()
        self.server.server_close()
