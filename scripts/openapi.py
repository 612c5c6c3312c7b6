#!/usr/bin/env python3
"""Writes docs/openapi.json, the description of the HTTP API (`make openapi`)."""

import json
import os
import sys
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write the document as the site gives it at /api/openapi.json."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    django.setup()
    from ninja.responses import NinjaJSONEncoder

    from notifier.api.app import api

    text = json.dumps(api.get_openapi_schema(path_prefix="/api/"), cls=NinjaJSONEncoder, indent=2, ensure_ascii=False)
    (ROOT / "docs" / "openapi.json").write_text(text)


if __name__ == "__main__":
    main()
