"""The refusal of ASGI servers, which load `notifier.asgi`: limits of waiting, /healthz and reloads are gunicorn's."""

import sys

sys.exit("Notifier does not run on an ASGI server (uvicorn, daphne, hypercorn). Start it with: gunicorn notifier.wsgi")
