"""The image's health check: /healthz of the site responds with 200."""

import os
import sys
import urllib.request

PORT = os.environ.get("PORT", "8000")

try:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=4) as response:
        sys.exit(response.status != 200)
except OSError as away:
    sys.exit(str(away))
