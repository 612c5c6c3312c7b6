"""The image's health check, for the site: /healthz answers, asked by the name that ALLOWED_HOSTS names first."""

import os
import sys
import urllib.request

PORT = os.environ.get("PORT", "8000")
NAME = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".*") or "localhost"

request = urllib.request.Request(f"http://127.0.0.1:{PORT}/healthz", headers={"Host": NAME})
try:
    with urllib.request.urlopen(request, timeout=4) as answer:
        sys.exit(answer.status != 200)
except OSError as away:
    sys.exit(str(away))
