"""Parts of the OpenAPI document that django-ninja leaves out: media types of errors, headers, examples, links."""

from typing import Any

from notifier.api.problems import KINDS, MEDIA_TYPE, TYPE_PREFIX

HEADERS = {
    202: {"Location": "The URL of the job."},
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "Seconds."},
    503: {"Retry-After": "Seconds."},
}
OPERATION_PROBLEMS = {
    "enqueueSignInNotification": {
        409: ["duplicate-job"],
        422: ["job-id-of-another-user", "idempotency-key-reused"],
        429: ["too-many-notices"],
    },
    "listJobs": {400: ["invalid-fields", "invalid-cursor"]},
    "readJob": {400: ["invalid-fields"]},
    "eraseUser": {400: ["invalid-fields"]},
    "cancelJob": {409: ["not-waiting"]},
    "replayDeadLetter": {409: ["not-a-dead-letter"]},
    "discardDeadLetter": {409: ["not-a-dead-letter"]},
    "listDeadLetters": {400: ["invalid-fields", "invalid-cursor"]},
    "listEventDeliveries": {400: ["invalid-fields", "invalid-cursor"]},
    "createEventEndpoint": {409: ["too-many-endpoints"]},
    "pingEventEndpoint": {409: ["endpoint-off"]},
    "replayEvents": {409: ["endpoint-off", "not-failed"]},
}
LINKS = {
    ("enqueueSignInNotification", 202): {
        "readJob": "$response.body#/jobId",
        "cancelJob": "$response.body#/jobId",
    },
    ("listJobs", 200): {"readJob": "$response.body#/items/0/jobId"},
    ("listDeadLetters", 200): {
        "replayDeadLetter": "$response.body#/items/0/jobId",
        "discardDeadLetter": "$response.body#/items/0/jobId",
    },
}
COMMON_PROBLEMS = {
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
    """Add the missing parts to ninja's document and return it."""
    document["servers"] = [{"url": "/"}]
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                _move_examples(parameter)
            for status, response in operation["responses"].items():
                _complete_response(operation["operationId"], status, response)
    return document


def _move_examples(parameter: dict[str, Any]) -> None:
    """Move the examples of a parameter to its schema: OpenAPI allows a list only there."""
    if isinstance(parameter.get("examples"), list):
        parameter["schema"]["examples"] = parameter.pop("examples")


def _complete_response(name: str, status: int, response: dict[str, Any]) -> None:
    if status >= 400:
        content = response["content"].pop("application/json")
        content["examples"] = {kind: {"value": _example(kind)} for kind in _kinds(name, status)}
        response["content"][MEDIA_TYPE] = content
        response["description"] = " / ".join(KINDS[kind][1] for kind in _kinds(name, status))
    if links := LINKS.get((name, status)):
        response["links"] = {
            target: {"operationId": target, "parameters": {"jobId": pointer}} for target, pointer in links.items()
        }
    if status != 202 or name == "enqueueSignInNotification":
        headers = {
            header: {"description": text, "required": True, "schema": {"type": "string"}}
            for header, text in HEADERS.get(status, {}).items()
        }
        response.update({"headers": headers} if headers else {})


def _kinds(name: str, status: int) -> list[str]:
    own = OPERATION_PROBLEMS.get(name, {}).get(status, [])
    return own + [kind for kind in COMMON_PROBLEMS.get(status, []) if kind not in own and status != 409]


def _example(kind: str) -> dict[str, Any]:
    status, title = KINDS[kind]
    body: dict[str, Any] = {"type": TYPE_PREFIX + kind, "title": title, "status": status}
    if kind == "invalid-fields":
        body["errors"] = [{"field": "email", "message": "must be one email address in ASCII, like bat@example.mn"}]
    if kind in (
        "duplicate-job",
        "job-id-of-another-user",
        "idempotency-key-reused",
        "not-a-dead-letter",
        "not-waiting",
    ):
        body["jobId"] = "shop-signin-7f3a"
        body["status"] = "completed" if status == 409 else 422
    return body
