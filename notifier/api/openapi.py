"""What django-ninja's OpenAPI document does not say by itself: media types of errors, headers, examples."""

from typing import Any

from notifier.api.problems import KINDS, MEDIA_TYPE, TYPE

HEADERS = {
    202: {"Location": "The job's address."},
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "Seconds."},
    503: {"Retry-After": "Seconds."},
}
MEANT = {
    "enqueueSignInNotification": {409: ["duplicate-job", "job-id-taken"], 429: ["too-many-notices"]},
    "replayDeadLetter": {409: ["not-a-dead-letter"]},
    "discardDeadLetter": {409: ["not-a-dead-letter"]},
    "listDeadLetters": {400: ["invalid-fields", "invalid-cursor"]},
}
LINKS = {
    ("enqueueSignInNotification", 202): {"readJob": "$response.body#/jobId"},
    ("listDeadLetters", 200): {
        "replayDeadLetter": "$response.body#/items/0/jobId",
        "discardDeadLetter": "$response.body#/items/0/jobId",
    },
}
COMMON = {
    400: ["invalid-fields", "malformed-json"],
    401: ["unauthenticated"],
    403: ["forbidden", "csrf-failed"],
    404: ["not-found"],
    411: ["length-required"],
    413: ["body-too-large"],
    415: ["unsupported-media-type"],
    429: ["too-many-requests"],
    503: ["database-away"],
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what ninja leaves out."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                _complete_answer(operation["operationId"], status, answer)
    return document


def _complete_answer(name: str, status: int, answer: dict[str, Any]) -> None:
    if status >= 400:
        content = answer["content"].pop("application/json")
        content["examples"] = {kind: {"value": _example(kind)} for kind in _kinds(name, status)}
        answer["content"][MEDIA_TYPE] = content
        answer["description"] = " / ".join(KINDS[kind][1] for kind in _kinds(name, status))
    if links := LINKS.get((name, status)):
        answer["links"] = {
            target: {"operationId": target, "parameters": {"jobId": place}} for target, place in links.items()
        }
    if status != 202 or name == "enqueueSignInNotification":
        headers = {
            header: {"description": text, "required": True, "schema": {"type": "string"}}
            for header, text in HEADERS.get(status, {}).items()
        }
        answer.update({"headers": headers} if headers else {})


def _kinds(name: str, status: int) -> list[str]:
    own = MEANT.get(name, {}).get(status, [])
    return own + [kind for kind in COMMON.get(status, []) if kind not in own and status != 409]


def _example(kind: str) -> dict[str, Any]:
    status, title = KINDS[kind]
    body: dict[str, Any] = {"type": TYPE + kind, "title": title, "status": status}
    if kind == "invalid-fields":
        body["errors"] = [{"field": "email", "message": "must be one e-mail address in ASCII, like bat@example.mn"}]
    if kind in ("duplicate-job", "job-id-taken", "not-a-dead-letter"):
        body["jobId"] = "shop-signin-7f3a"
        body["status"] = "completed" if kind != "job-id-taken" else 409
    return body
