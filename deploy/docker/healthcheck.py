"""The image's health check: of the site, /healthz; of a worker, the age of WORKER_ALIVE_FILE (deploy/README.md)."""

import os
import sys
import time
import urllib.request
from pathlib import Path

SILENT_SECONDS = 30.0  # the worker writes once a second
PORT = os.environ.get("PORT", "8000")
FILE = os.environ.get("WORKER_ALIVE_FILE", "")

try:
    if FILE:
        age = time.monotonic() - float(Path(FILE).read_text())
        sys.exit(f"no sign of life for {age:.0f} s" if not -1 <= age <= SILENT_SECONDS else 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=4) as response:
        sys.exit(response.status != 200)
except (OSError, ValueError) as away:
    sys.exit(str(away))
