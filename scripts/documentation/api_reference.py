"""The page "API reference" of the documentation, from the OpenAPI document: each call, and each schema once."""

import json
import re
from typing import Any

LONGEST_PATTERN = 60
INTRODUCTION = """# API reference

Made from [openapi.json](openapi.json), the OpenAPI {openapi} document of the API, version {version}.
[The HTTP API](api.md) says what a schema cannot: limits, retries, sites and scopes. A running site shows the same at
`/api/docs`, where each call can be tried out.

A call needs a key in the header: `Authorization: Bearer nk_...`. Calls below `/api/admin/` also accept the session of a
member of the staff. An error is a JSON object of the type `application/problem+json`, a
[ProblemDetails](#problemdetails), whose `type` is one of [these](#types-of-problems).
"""


def render(document: str) -> str:
    """Return the page, in Markdown."""
    api = json.loads(document)
    parts = [INTRODUCTION.format(openapi=api["openapi"], version=api["info"]["version"])]
    calls = [(path, method, call) for path, methods in api["paths"].items() for method, call in methods.items()]
    for tag in dict.fromkeys(call["tags"][0] for _, _, call in calls):
        parts.append(f"## {tag}\n")
        parts += [_call(path, method, call) for path, method, call in calls if call["tags"][0] == tag]
    parts += ["## Types of problems\n", _problems([call for _, _, call in calls]), "## Schemas\n"]
    parts += [_schema(name, schema) for name, schema in sorted(api["components"]["schemas"].items())]
    return "\n".join(parts)


def _call(path: str, method: str, call: dict[str, Any]) -> str:
    parts = [f"### {call['summary']}\n", f"`{method.upper()} {path}`\n"]
    if described := call.get("description"):
        parts.append(f"{described}\n")
    if parameters := call.get("parameters"):
        rows = [(f"`{each['name']}`", each["in"], *_value(each["schema"], required=each["required"]),
                 each.get("description", each["schema"].get("description", ""))) for each in parameters]  # fmt: skip
        parts.append(_table(("parameter", "in", "type", "", "meaning"), rows))
    if body := call.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        parts.append(f"Body: {_type(schema)}\n")
    responses = [(f"`{status}`", _answer(given), given["description"]) for status, given in call["responses"].items()]
    parts.append(_table(("status", "body", "meaning"), responses))
    return "\n".join(parts)


def _answer(response: dict[str, Any]) -> str:
    return ", ".join(_type(each["schema"]) for each in response.get("content", {}).values() if "schema" in each)


def _problems(calls: list[dict[str, Any]]) -> str:
    """Return the table of every problem in the examples of the responses."""
    found: dict[str, tuple[str, str, str]] = {}
    for call in calls:
        for status, response in call["responses"].items():
            for content in response.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    problem = example["value"]
                    found[problem["type"]] = (f"`{problem['type']}`", f"`{status}`", problem["title"])
    return _table(("type", "status", "title"), [found[name] for name in sorted(found)])


def _schema(name: str, schema: dict[str, Any]) -> str:
    parts = [f"### {name}\n"]
    if described := schema.get("description"):
        parts.append(f"{described}\n")
    required = schema.get("required", [])
    rows = [
        (f"`{field}`", *_value(given, required=field in required), given.get("description", ""))
        for field, given in schema.get("properties", {}).items()
    ]
    if rows:
        parts.append(_table(("field", "type", "", "meaning"), rows))
    examples = [json.dumps(example, indent=2, ensure_ascii=False) for example in schema.get("examples", [])]
    parts += [f"```json\n{example}\n```\n" for example in examples]
    return "\n".join(parts)


def _value(schema: dict[str, Any], *, required: bool) -> tuple[str, str]:
    """Return the type of a value, and what is asked of it."""
    inner = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    limits = {**schema, **(inner[0] if len(inner) == 1 else {})}
    asked = ["required" if required else "optional"]
    if "minLength" in limits or "maxLength" in limits:
        asked.append(f"{limits.get('minLength', 0)} to {limits.get('maxLength', 'any number of')} characters")
    if "minimum" in limits or "maximum" in limits:
        asked.append(f"from {limits.get('minimum', '-')} to {limits.get('maximum', '-')}")
    if "default" in limits and limits["default"] not in (None, ""):
        asked.append(f"default `{json.dumps(limits['default'])}`")
    if pattern := limits.get("pattern"):
        short = len(pattern) <= LONGEST_PATTERN and "`" not in pattern
        asked.append(f"matches `{pattern}`" if short else "matches a pattern of openapi.json")
    return _type(schema), ", ".join(asked)


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a value in words, with links to the schemas of this page."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type({"type": schema.get("type"), **each}) for each in schema[several]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return schema.get("format") or schema.get("type") or "any"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """Return a text for a cell of a table: on one line, with a bar only in code."""
    parts = re.split(r"(`[^`]*`)", " ".join(str(text).split()))
    return "".join(part if part.startswith("`") else part.replace("|", "&#124;") for part in parts)
