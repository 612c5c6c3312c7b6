"""The load of the chaos run: notices posted through the proxy at a steady rate, and what the clients saw."""

import http.client
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

GIVE_UP = 180.0  # seconds after which a client tries a notice no more
AGAIN = 2.0  # seconds between two tries
PATIENCE = 40.0  # seconds that a client waits for a response
ACCEPTED = (202, 409)  # 409: an earlier try was accepted, and its response lost


@dataclass
class Window:
    """What the clients saw from the start of a fault until work went on."""

    began: float = field(default_factory=time.monotonic)
    accepted: list[str] = field(default_factory=list)
    refused: Counter = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds of the longest request."""
    probes: list[float] = field(default_factory=list)
    """Seconds of each request to /healthz that was answered or refused."""
    static: list[float] = field(default_factory=list)
    """Seconds of each request for a static answer of the proxy."""

    @property
    def longest_probe(self) -> float:
        return max(self.probes, default=0.0)

    @property
    def longest_static(self) -> float:
        return max(self.static, default=0.0)


class Load:
    """Posts until `stop`. The last window is the present one; a request counts where it began."""

    def __init__(self, port: int, key: str, rate: float) -> None:
        self.port, self.key, self.rate = port, key, rate
        self.windows = [Window()]
        self.accepted: list[str] = []
        self.given_up: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._post_all, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops, after every notice that was begun has been accepted."""
        self._stop.set()
        self._thread.join()

    def begin_window(self) -> Window:
        """Begin a window, and return it."""
        self.windows.append(Window())
        return self.windows[-1]

    def add_probe(self, path: str, began: float, seconds: float) -> None:
        """Count a request of the prober that began at this time.monotonic()."""
        window = next((window for window in reversed(self.windows) if window.began <= began), self.windows[0])
        (window.probes if path == "/healthz" else window.static).append(seconds)

    def _post_all(self) -> None:
        number = 0
        with ThreadPoolExecutor(200) as clients:
            while not self._stop.wait(1 / self.rate):
                number += 1
                clients.submit(self._post_until_accepted, f"chaos-{number}")

    def _post_until_accepted(self, job_id: str) -> None:
        until = time.monotonic() + GIVE_UP
        while time.monotonic() < until:
            window = self.windows[-1]
            status, seconds = request(self.port, "POST", "/api/jobs/signin-notification", notice(job_id), self.key)
            window.longest = max(window.longest, seconds)
            if status in ACCEPTED:
                window.accepted.append(job_id)
                self.accepted.append(job_id)
                return
            window.refused[status] += 1
            time.sleep(AGAIN)
        self.given_up.append(job_id)


def request(port: int, method: str, path: str, body: dict | None = None, key: str = "") -> tuple[int, float]:
    """The status, 0 for a lost connection, and the seconds it took."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    began = time.monotonic()
    try:
        client.request(method, path, body and json.dumps(body), headers)
        return client.getresponse().status, time.monotonic() - began
    except (OSError, http.client.HTTPException):
        return 0, time.monotonic() - began
    finally:
        client.close()


def notice(job_id: str) -> dict[str, str]:
    """A sign-in of another site's user, one for each job."""
    return {
        "jobId": job_id,
        "userId": job_id,
        "email": f"{job_id}@example.mn",
        "name": "Бат",
        "provider": "password",
        "ipAddress": "192.0.2.1",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
