"""Wrong fields in the API's one shape: a field's name on the wire, and what is wrong with it."""

import re
from typing import Any

from notifier.api import fields

MANY = 20  # told at once


def field_errors(found: list[Any]) -> list[dict[str, str]]:
    """pydantic's errors in the API's one shape; the client's values are not repeated.

    The first part of a place is the name of our own argument, which is nobody's business.
    """
    return [
        {"field": ".".join(str(part)[:64] for part in error["loc"][1:]) or "body", "message": _message(error)}
        for error in found[:MANY]
    ]


def _message(error: dict[str, Any]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is needed"
        case "extra_forbidden":
            return "is not a field of this request"
        case "string_type":
            return "must be text"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a JSON object"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            return fields.EXPECTED.get(context["pattern"], f"must match {context['pattern']}")
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "value_error":
            return str(context["error"])
    return re.sub(r"^Input should", "should", error["msg"])
