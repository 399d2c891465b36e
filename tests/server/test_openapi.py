"""The server and its description agree: schemathesis asks what the description allows and what it forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Served, notes

from localsearch.server.operations import Operation
from localsearch.server.routes import ALL
from localsearch.settings import LimitSettings

EXAMPLES = 6
"""Per operation; the whole run stays under a minute."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of this module's own. Made-up paths must not make it index this machine."""
    nowhere = tmp_path_factory.mktemp("allowed")
    home = tmp_path_factory.mktemp("api") / "home"
    with notes(home, replace(LimitSettings(), body_s=5.0), index_roots=(str(nowhere),)) as served:
        yield served


CONFIG = """
hooks = "openapi_checks"
max-failures = 20

[checks.negative_data_rejection]
expected-statuses = [207, 400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 428, "5xx"]
"""
"""`only_filters_are_refused` of the hooks takes the place of the check that is left out below."""


@pytest.mark.slow
def test_every_answer_is_as_described(api: Served, tmp_path: Path) -> None:
    """Examples, edge values of every field, made-up ones, and calls that follow from each other: all checks."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
    command += [
        f"{api.url}/openapi.json",
        "--checks",
        "all",
        "--exclude-checks",
        "positive_data_acceptance",
        "--max-examples",
        str(EXAMPLES),
        "--seed",
        "7",
    ]
    command += ["--no-color", "--request-timeout", "60", "--max-response-time", "60"]
    # One thread: hypothesis changes the recursion limit of the process, on which Python's parser stumbles in another.
    command += ["--workers", "1"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{len(ALL)} selected / {len(ALL)} total" in done.stdout


def test_nothing_was_the_servers_fault(api: Served) -> None:
    """Runs last in this module: none of all that was asked above ended in a 5xx."""
    metrics = api.client.get("/metrics").text
    failed = [line for line in metrics.splitlines() if "http_requests_total" in line and 'status="5' in line]
    assert failed == []


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    answer = served.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(operation.method, operation.template) for operation in ALL}
    surface = {
        ("POST", "/search"),
        ("GET", "/search"),
        ("POST", "/documents"),
        ("GET", "/documents/{id}"),
        ("DELETE", "/documents/{id}"),
        ("POST", "/index"),
        ("GET", "/jobs"),
        ("GET", "/jobs/{id}"),
        ("GET", "/jobs/{id}/events"),
        ("DELETE", "/jobs/{id}"),
        ("GET", "/names"),
        ("GET", "/suggest"),
        ("POST", "/feedback"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/metrics"),
        ("GET", "/stats"),
        ("GET", "/alerts"),
        ("GET", "/versions"),
        ("POST", "/versions/{id}/activate"),
    }
    assert surface <= described


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    found = set(references(document))
    assert "#/components/schemas/ErrorAnswer" in found
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert isinstance(place, dict)


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: f"{operation.method} {operation.template}")
def test_every_operation_says_what_it_gives_and_that_it_may_fail(
    operation: Operation, document: dict[str, Any]
) -> None:
    described = document["paths"][operation.template][operation.method.lower()]
    assert described["summary"].endswith(".")
    assert described["responses"]["default"] == {"$ref": "#/components/responses/Error"}
    assert str(operation.status) in described["responses"]
    assert ("requestBody" in described) is (operation.body is not None)
