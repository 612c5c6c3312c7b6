"""Signs events as the documents say, with code of its own."""

import base64
import hashlib
import hmac
import json
import time
import uuid

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER_SECRET = "whsec_" + base64.b64encode(b"z" * 32).decode()
JOB = {"jobId": "signin-1", "userId": "42"}
SIGN_IN = {"timestamp": "2026-03-01T01:30:00Z", "provider": "password", "browser": "Chrome", "system": "Windows",
           "newDevice": True, "signals": ["new_country"]}  # fmt: skip
DISPUTED = {**JOB, "disputedAt": "2026-03-01T01:35:00.123Z", "signIn": SIGN_IN}


def envelope(kind="sign_in.disputed", data=DISPUTED):
    return json.dumps({"type": kind, "timestamp": "2026-03-01T01:35:01Z", "data": data}).encode()


def signature(body, event_id, sent_at, secret=SECRET):
    key = base64.b64decode(secret.partition("_")[2])
    digest = hmac.new(key, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def headers(body, *, event_id=None, sent_at=None, secrets=(SECRET,)):
    event_id = event_id or f"evt_{uuid.uuid4().hex}"
    sent_at = str(int(time.time()) if sent_at is None else sent_at)
    signed = " ".join(signature(body, event_id, sent_at, secret) for secret in secrets)
    return {"webhook-id": event_id, "webhook-timestamp": sent_at, "webhook-signature": signed}
