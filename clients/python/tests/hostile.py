"""A server that gives any answer, byte by byte if it must."""

import socketserver
import threading
import time
from contextlib import contextmanager


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        path = self.rfile.readline().decode().split(" ")[1]
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.requests.append((path, headers, body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            for part in answer if isinstance(answer, list) else [answer]:
                self.wfile.write(part)
                if isinstance(answer, list):
                    time.sleep(0.05)
        except OSError:
            pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


def response(status, body=b"", **headers):
    """The bytes of an answer. A header given as None is left out."""
    body = body.encode() if isinstance(body, str) else body
    found = {"Content-Length": str(len(body)), "Connection": "close"}
    found |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Any", *(f"{name}: {value}" for name, value in found.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def server(*answers, tls=None):
    """A running server that gives the answers in turn, and the last one from then on. A list is sent slowly."""
    with _Server(("127.0.0.1", 0), _Handler) as running:
        if tls:
            running.socket = tls.wrap_socket(running.socket, server_side=True)
        running.answers, running.requests = list(answers), []
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()
