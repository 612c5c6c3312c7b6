"""The reference of the API at /api/docs: the OpenAPI document as a page that needs no script."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body or a response."""

    name: str
    type: str
    required: bool
    text: str
    place: str = ""
    """Of a parameter: path, query or header."""


@dataclass(frozen=True)
class Response:
    """One response of an operation."""

    status: str
    text: str
    fields: list[Field]
    problems: list[str]
    """The names of the errors with this status."""


@dataclass(frozen=True)
class Operation:
    """One operation."""

    name: str
    method: str
    path: str
    summary: str
    text: list[str]
    """Paragraphs."""
    staff: bool
    """Whether it accepts the session of a member of staff."""
    parameters: list[Field]
    body: list[Field]
    example: str
    """A body in JSON; "" for an operation without one."""
    responses: list[Response]


@dataclass(frozen=True)
class Group:
    """Operations that belong together."""

    name: str
    operations: list[Operation]

    @property
    def id(self) -> str:
        """The id of its heading."""
        return self.name.lower().replace(" ", "-")


def load_groups(document: Document) -> list[Group]:
    """Return every operation of an OpenAPI document, by its tag, in its order."""
    groups: dict[str, Group] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation["tags"][0]
            group = groups.setdefault(tag, Group(tag, []))
            group.operations.append(_operation(document, method, path, operation))
    return list(groups.values())


def _operation(document: Document, method: str, path: str, operation: Document) -> Operation:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation.get("description", "").split("\n\n"),
        staff=any("StaffSession" in one for one in operation.get("security", [])),
        parameters=[_parameter(document, one) for one in operation.get("parameters", [])],
        body=list(_fields(document, body)) if body else [],
        example=json.dumps(_example(document, body), ensure_ascii=False, indent=2) if body else "",
        responses=[_response(document, str(status), one) for status, one in operation["responses"].items()],
    )


def _parameter(document: Document, parameter: Document) -> Field:
    schema = _resolve(document, parameter["schema"])
    text = parameter.get("description") or schema.get("description", "")
    return Field(parameter["name"], _type(document, schema), parameter["required"], text, parameter["in"])


def _response(document: Document, status: str, response: Document) -> Response:
    content: Document = next(iter(response.get("content", {}).values()), {})
    problems = list(content.get("examples", {}))
    fields = [] if problems or "schema" not in content else list(_fields(document, content["schema"]))
    return Response(status, response["description"], fields, problems)


def _fields(document: Document, schema: Document, prefix: str = "") -> Iterator[Field]:
    """Yield the fields of an object, and after each object or list the fields within it, as `outer.inner`."""
    schema = _resolve(document, schema)
    for name, value in schema.get("properties", {}).items():
        inner, many = _inner(document, value)
        required = name in schema.get("required", [])
        yield Field(prefix + name, _type(document, value), required, _resolve(document, value).get("description", ""))
        if inner.get("properties"):
            yield from _fields(document, inner, f"{prefix}{name}{'[]' * many}.")


def _inner(document: Document, schema: Document) -> tuple[Document, bool]:
    """Return the schema of a value or of the items of a list, and whether it is a list."""
    schema = _present(document, schema)
    return (_resolve(document, schema["items"]), True) if "items" in schema else (schema, False)


def _present(document: Document, schema: Document) -> Document:
    """Return the schema of a value that is there: without the choice of null."""
    schema = _resolve(document, schema)
    choices = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return _resolve(document, choices[0]) if choices else schema


def _resolve(document: Document, schema: Document) -> Document:
    """Return the schema that a reference leads to, else the schema itself."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    found: Document = document["components"]["schemas"][name]
    return found


def _type(document: Document, schema: Document) -> str:
    """Return the type in words: `string`, `one of a, b`, `list of string`."""
    schema = _present(document, schema)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "items" in schema:
        return f"list of {_type(document, schema['items'])}"
    return str(schema.get("format") or schema.get("type") or "string")


def _example(document: Document, schema: Document) -> Any:
    """Return an example of a body: that of the schema, or one of its required fields; a time is now."""
    schema = _present(document, schema)
    if "examples" in schema:
        found = schema["examples"][0]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {**found, "timestamp": now} if isinstance(found, dict) and "timestamp" in found else found
    if "properties" in schema:
        one_of: list[Document] = schema.get("oneOf", [])
        wanted = schema.get("required") or (one_of[0]["required"] if one_of else [])
        return {name: _example(document, schema["properties"][name]) for name in wanted}
    if "items" in schema:
        return []
    return {"boolean": False, "object": {}}.get(schema.get("type", ""), "")
