"""An OpenID Connect provider over real HTTP, at which one user always agrees."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT_ID, CLIENT_SECRET = "shop", "a secret of the shop"


class FakeOpenId:
    """Consent, tokens, keys and profile. profile: the claims of the user; the subject is `sub`."""

    def __init__(self, **profile: str) -> None:
        self.profile = {"sub": "77", "email": "bat@example.mn", "name": "Бат", **profile}
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.repeated: dict[str, dict[str, str]] = {}
        self.used: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                if path == "/authorize":
                    return self.redirect(query)
                return self.answer(provider.document(path))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.answer({"access_token": "a", "token_type": "Bearer", "id_token": provider.token(form["code"][0])})

            def redirect(self, query: dict[str, list[str]]) -> None:
                back = {"code": provider.consent(query), "state": query.get("state", [])}
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri'][0]}?{urlencode(back, doseq=True)}")
                self.end_headers()

            def answer(self, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def document(self, path: str) -> Any:
        """Return what a GET of the path shows: the configuration, the keys, or the profile."""
        if path == "/keys":
            public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return {"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]}
        if path == "/profile":
            return self.profile
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        places["userinfo_endpoint"] = "profile"
        return {
            "issuer": self.url,
            **{name: f"{self.url}/{place}" for name, place in places.items()},
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def consent(self, query: dict[str, list[str]]) -> str:
        """Return a code, which is good once. Its ID token repeats the nonce of the request, if there was one."""
        code = f"code{len(self.used) + len(self.repeated)}"
        self.repeated[code] = {"nonce": query["nonce"][0]} if "nonce" in query else {}
        return code

    def token(self, code: str) -> str:
        """Return the ID token for a code."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "email_verified": True}
        claims |= self.repeated.pop(code)
        self.used.append(code)
        return jwt.encode({**self.profile, **claims}, self.key, algorithm="RS256", headers={"kid": "1"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
