"""The OpenAPI 3.1 document, made from the operations and the very types that check requests.

Made once, at the start, by plain functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from localsearch.release import __version__
from localsearch.server import request_limits
from localsearch.server.operations import Operation
from localsearch.server.problems import ErrorAnswer
from localsearch.settings import LimitSettings

Json = dict[str, Any]
REF = "#/components/schemas/{name}"


def document(operations: Sequence[Operation[Any]], limits: LimitSettings) -> Json:
    """The whole document, ready for JSON."""
    types = _types(operations)
    _, schemas = msgspec.json.schema_components(types, ref_template=REF)
    for kind in types:
        if isinstance(kind, type):
            request_limits.describe(kind, schemas[kind.__name__], limits)
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.template, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "localsearch",
            "version": __version__,
            "summary": "A search engine that runs on your own machine.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": _only_used(schemas, operations),
            "responses": {"Error": _content("What went wrong and what to do next.", ErrorAnswer)},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _types(operations: Sequence[Operation[Any]]) -> list[Any]:
    found: dict[Any, None] = {ErrorAnswer: None}
    for operation in operations:
        for kind in (operation.query, operation.body, operation.answer, *operation.also.values()):
            if kind is not None:
                found[kind] = None
    return list(found)


def _only_used(schemas: Json, operations: Sequence[Operation[Any]]) -> Json:
    """Without the types of query strings, which are written out as parameters."""
    spread = {operation.query.__name__ for operation in operations if operation.query}
    return {name: schema for name, schema in sorted(schemas.items()) if name not in spread}


def _operation(operation: Operation[Any], schemas: Json) -> Json:
    made: Json = {
        "operationId": operation.method.lower() + re.sub(r"[{}]", "", operation.template).replace("/", "_"),
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation),
    }
    if parameters := _path_parameters(operation) + _query_parameters(operation, schemas):
        made["parameters"] = parameters
    if operation.body:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(operation.body)}},
        }
    if operation.scope is None:
        made["security"] = [{}]
    else:
        made["description"] = f"Where keys are required, one with the scope {operation.scope}."
    return made


def _responses(operation: Operation[Any]) -> Json:
    if operation.answer is None:
        # What stands for the events of a stream, OpenAPI 3.1 leaves open: the summary tells what they are.
        schema = {} if operation.produces == "text/event-stream" else {"type": "string"}
        done: Json = {
            "description": "Done.",
            "content": {operation.produces.split(";")[0]: {"schema": schema}},
        }
    else:
        done = _content("Done.", operation.answer)
    more = {str(status): _content(_first_line(kind), kind) for status, kind in operation.also.items()}
    return {str(operation.status): done, **more, "default": {"$ref": "#/components/responses/Error"}}


def _content(description: str, kind: type) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _ref(kind)}}}


def _ref(kind: type) -> Json:
    return {"$ref": REF.format(name=kind.__name__)}


def _path_parameters(operation: Operation[Any]) -> list[Json]:
    found = []
    for part in operation.path.split("/"):
        if part.startswith("{"):
            name, _, convertor = part.strip("{}").partition(":")
            schema: Json = (
                {"type": "integer", "minimum": 0}
                if convertor == "int"
                else {"type": "string", "minLength": 1}
            )
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _query_parameters(operation: Operation[Any], schemas: Json) -> list[Json]:
    if operation.query is None:
        return []
    schema = schemas[operation.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _plain(one)}
        for name, one in schema["properties"].items()
    ]


def _plain(schema: Json) -> Json:
    """A parameter that may be left out is never null in a query string."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if rest.get("default", 0) is None:
        del rest["default"]
    return {**choices[0], **rest}


def _first_line(kind: type) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]
