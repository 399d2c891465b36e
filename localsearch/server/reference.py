"""The page at /docs: the OpenAPI document for people. Plain HTML, without a script or an outside address.

Made once, at the start, from the document alone: it knows no route and no type.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import msgspec

from localsearch.filters.table import GRAMMAR
from localsearch.server.responses import Response

Json = dict[str, Any]
STYLE = Path(__file__).parent / "reference.css"


def page(document: Json) -> Response:
    """The whole page."""
    body = "".join(_tag(document, tag["name"]) for tag in document["tags"])
    links = "".join(f'<a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>' for tag in document["tags"])
    info = document["info"]
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>localsearch API</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs.css">
</head>
<body>
<header>
<h1>localsearch API <small>{escape(info["version"])}</small></h1>
<p>{escape(info["summary"])} Programs may read the same as <a href="/openapi.json">openapi.json</a>.
Errors are <code>{{"error": {{"code", "message", "hint"}}}}</code> with the right status; a browser that opens an
address (<code>Accept: text/html</code> first) is shown them as a page.
Where keys are required, send <code>Authorization: Bearer KEY</code>.</p>
<nav><a href="#queries">queries</a>{links}<a href="#types">types</a></nav>
</header>
<main>{_queries()}{body}<section><h2 id="types">types</h2>{_types(document)}</section></main>
</body>
</html>
"""
    return Response(html.encode(), type=b"text/html; charset=utf-8", page=True)


def style() -> Response:
    """The style sheet of the page."""
    return Response(STYLE.read_bytes(), type=b"text/css; charset=utf-8", page=True)


def _queries() -> str:
    """What may be typed in the search box, in `query` and in `filters`."""
    rows = "".join(
        f"<tr><td><code>{escape(row.example)}</code></td><td>{escape(row.meaning)}</td></tr>"
        for row in GRAMMAR
    )
    return (
        '<section><h2 id="queries">queries</h2><p>The same in the search box, on the command line and in the API.</p>'
        f"<table tabindex=0><tbody>{rows}</tbody></table></section>"
    )


def _tag(document: Json, tag: str) -> str:
    operations = [
        _operation(method, path, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]
    return f'<section><h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(operations)}</section>'


def _operation(method: str, path: str, operation: Json, document: Json) -> str:
    parts = [f"<p>{escape(operation['summary'])} {escape(operation.get('description', ''))}</p>"]
    if parameters := operation.get("parameters"):
        rows = [(one["name"], one["schema"], one["required"], one["in"]) for one in parameters]
        parts.append(_table("Parameters", rows))
    if body := operation.get("requestBody"):
        parts.append(f"<h4>Body</h4><p>{_link(body['content']['application/json']['schema'])}</p>")
    parts.append(f"<h4>Answers</h4><ul>{_answers(operation)}</ul>")
    parts.append(
        f"<h4>Example</h4><pre tabindex=0><code>{escape(_curl(method, path, operation, document))}</code></pre>"
    )
    name = escape(operation["operationId"])
    title = f'<span class="method {method}">{method.upper()}</span> <code>{escape(path)}</code>'
    return f'<article id="{name}"><h3>{title}</h3>{"".join(parts)}</article>'


def _answers(operation: Json) -> str:
    lines = []
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            lines.append(
                f"<li><b>{escape(status)}</b> {_link({'$ref': '#/components/schemas/ErrorAnswer'})}</li>"
            )
            continue
        for kind, content in answer["content"].items():
            lines.append(
                f"<li><b>{escape(status)}</b> {_link(content['schema'])} <small>{escape(kind)}</small></li>"
            )
    return "".join(lines)


def _types(document: Json) -> str:
    parts = []
    for name, schema in document["components"]["schemas"].items():
        about = escape(schema.get("description", "").split("\n\n")[0])
        required = schema.get("required", ())
        rows = [(field, one, field in required, "") for field, one in schema.get("properties", {}).items()]
        parts.append(f'<article id="type-{escape(name)}"><h3><code>{escape(name)}</code></h3><p>{about}</p>')
        parts.append(_table("Fields", rows) + "</article>")
    return "".join(parts)


def _table(title: str, rows: list[tuple[str, Json, bool, str]]) -> str:
    lines = [
        f"<tr><td><code>{escape(name)}</code></td><td>{_shape(schema)}</td>"
        f"<td>{'required' if required else _default(schema)}</td><td>{escape(schema.get('description', ''))}</td></tr>"
        for name, schema, required, _ in rows
    ]
    return f"<h4>{title}</h4><table tabindex=0><tbody>{''.join(lines)}</tbody></table>"


def _shape(schema: Json) -> str:
    """A type in a few words: `integer, 1 to 100`."""
    if "$ref" in schema:
        return _link(schema)
    if "anyOf" in schema:
        return " or ".join(_shape(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(
            f"<code>{escape(str(value))}</code>" for value in schema["enum"] if value is not None
        )
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_shape(schema.get('items') or schema.get('prefixItems', [{}])[0])}"
    return escape(kind + _bounds(schema))


def _bounds(schema: Json) -> str:
    low, high = schema.get("minimum", schema.get("minLength")), schema.get("maximum", schema.get("maxLength"))
    if low is None and high is None:
        return ""
    if high is None:
        return f", from {low}"
    return f", up to {high:,}" if low is None else f", {low} to {high:,}"


def _default(schema: Json) -> str:
    value = schema.get("default")
    return "" if value is None else f"default <code>{escape(str(value))}</code>"


def _link(schema: Json) -> str:
    if "$ref" not in schema:
        return _shape(schema)
    name = escape(schema["$ref"].rpartition("/")[2])
    return f'<a href="#type-{name}">{name}</a>'


def _example(schema: Json, document: Json, within: tuple[str, ...] = ()) -> Any:
    """What a body of this schema may look like: the examples of its fields, and whatever else it must have.

    `within` are the types that the schema is part of: one that holds itself ends there, with an empty list or null.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return None if name in within else _example(_schema(document, name), document, (*within, name))
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if choices:
        return _example(choices[0], document, within)
    if schema.get("type") == "array":
        items = schema.get("prefixItems") or [schema.get("items") or {}]
        made = [_example(one, document, within) for one in items]
        return [one for one in made if one is not None]
    if schema.get("type") == "object":
        needed = schema.get("required", ())
        chosen = {
            name: one for name, one in schema.get("properties", {}).items() if name in needed or _shown(one)
        }
        return {name: _example(one, document, within) for name, one in chosen.items()}
    return {"integer": 1, "number": 1.0, "boolean": True}.get(schema.get("type", ""), "text")


def _schema(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


def _shown(schema: Json) -> bool:
    """Whether a field that may be left out has an example of plain text or a number."""
    choices = (schema, *schema.get("anyOf", ()))
    return any(
        isinstance(one.get("examples", [None])[0], str | int) and "anyOf" not in one for one in choices
    )


def _curl(method: str, path: str, operation: Json, document: Json) -> str:
    words = ["curl"]
    if method != "get":
        words.append(f"-X {method.upper()}")
    needed = [one for one in operation.get("parameters", ()) if one["in"] == "query" and one["required"]]
    query = "".join(f"?{one['name']}=kiln" for one in needed)
    words.append(
        f"http://127.0.0.1:8765{path.replace('{id}', '1' if path.startswith('/jobs') else 'kiln')}{query}"
    )
    if body := operation.get("requestBody"):
        sent = msgspec.json.encode(_example(body["content"]["application/json"]["schema"], document)).decode()
        words += ["-H 'Content-Type: application/json'", f"-d '{sent}'"]
    return " \\\n  ".join(words) if len(words) > 2 else " ".join(words)
