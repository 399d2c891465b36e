"""Who is let in: host names, origins, content types, keys; and what every answer carries."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from serving import Served, error_of, notes

from localsearch.errors import NotFoundError, UsageError
from localsearch.server.addresses import check_bind, client_is_local, is_loopback
from localsearch.server.database import ServiceDatabase
from localsearch.server.guards import Guards
from localsearch.server.keys import KeyRing, Keys
from localsearch.server.middleware import _length
from localsearch.settings import ServerSettings


def raw(served: Served, request: bytes) -> bytes:
    """Everything the server says to these bytes."""
    with served.socket() as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


# -- hosts


def test_names_of_a_loopback_server() -> None:
    guards = Guards.of(ServerSettings(port=8765))
    assert guards.hosts == {b"localhost:8765", b"127.0.0.1:8765", b"[::1]:8765"}


def test_names_from_the_settings_count_with_and_without_the_port() -> None:
    guards = Guards.of(ServerSettings(port=8765, hosts=("Search.Example", "other.example:443")))
    assert {b"search.example", b"search.example:8765", b"other.example:443"} <= guards.hosts
    assert b"other.example" not in guards.hosts


def test_on_port_80_browsers_leave_the_port_out() -> None:
    assert b"localhost" in Guards.of(ServerSettings(port=80)).hosts


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "localhost.:{port}",
        "127.1:{port}",
        "0.0.0.0:{port}",
        "user@localhost:{port}",
        "",
    ],
)
def test_another_name_is_refused_on_every_route(served: Served, host: str) -> None:
    name = host.format(port=served.port)
    for path in ("/", "/search?q=kiln", "/health", "/metrics", "/openapi.json", "/nothing"):
        answer = raw(served, f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 "), (path, answer[:100])
        assert b'"code":"bad_host"' in answer


def test_without_or_with_two_host_names_nothing_is_answered(served: Served) -> None:
    assert b" 403 " in raw(served, b"GET /health HTTP/1.0\r\n\r\n").splitlines()[0]
    twice = f"GET /health HTTP/1.1\r\nHost: localhost:{served.port}\r\nHost: evil.example\r\n\r\n"
    assert raw(served, twice.encode()).split(b"\r\n")[0].split()[1] in (b"400", b"403")


def test_our_own_names_are_answered(served: Served) -> None:
    for name in ("localhost", "127.0.0.1", "LOCALHOST", "[::1]"):
        answer = served.client.get("/health", headers={"Host": f"{name}:{served.port}"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


# -- origins


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_peoples_pages_change_nothing(served: Served, headers: dict[str, str]) -> None:
    headers = {name: value.format(port=served.port) for name, value in headers.items()}
    sent = [
        served.client.post(
            "/documents", json={"documents": [{"id": "evil", "text": "evil"}]}, headers=headers
        ),
        served.client.delete("/documents/kiln", headers=headers),
        served.client.post("/cache/clear", headers=headers),
        served.client.post("/index", json={"paths": ["/etc"]}, headers=headers),
    ]
    for answer in sent:
        assert (answer.status_code, error_of(answer)["code"]) == (403, "bad_origin")
    assert served.client.get("/documents/kiln").status_code == 200
    assert served.client.get("/documents/evil").status_code == 404


@pytest.mark.parametrize("headers", [{"Origin": "{url}"}, {"Sec-Fetch-Site": "same-origin"}, {}])
def test_our_own_page_and_programs_may(served: Served, headers: dict[str, str]) -> None:
    headers = {name: value.format(url=served.url) for name, value in headers.items()}
    assert served.client.post("/cache/clear", headers=headers).status_code == 200


def test_no_cors_unless_configured(served: Served) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        served.client.options("/search", headers=asked),
        served.client.get("/health", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_configured_origin_may_read_and_write(tmp_path: Path) -> None:
    with notes(tmp_path / "home", origins=("https://friend.example",)) as served:
        friend, other = {"Origin": "https://friend.example"}, {"Origin": "https://evil.example"}
        preflight = served.client.options("/search", headers=friend)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://friend.example"
        assert "content-type" in preflight.headers["access-control-allow-headers"]
        answer = served.client.post("/search", json={"query": "kiln"}, headers=friend)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        assert answer.headers["vary"] == "origin"
        assert "access-control-allow-origin" not in served.client.options("/search", headers=other).headers
        assert served.client.post("/search", json={"query": "kiln"}, headers=other).status_code == 403


# -- what is sent


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_only_json_is_taken(served: Served, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = served.client.post("/search", content=b'{"query": "kiln"}', headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (415, "not_json")


def test_a_whole_number_may_be_written_with_a_point(served: Served) -> None:
    answer = served.client.post(
        "/search", json={"query": "day", "limit": 1.0, "offset": 1.0, "filters": {"year": 2021.0}}
    )
    assert (answer.status_code, len(answer.json()["results"])) == (200, 0)
    assert served.client.post("/search", json={"query": "day", "limit": 1.5}).status_code == 400


def test_json_may_name_its_charset(served: Served) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert served.client.post("/search", content=b'{"query": "kiln"}', headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "The body is empty"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "The query is empty"),
        (b'{"query": 1}', "Expected `str`, got `int`"),
        (b'{"query": "x", "limt": 3}', "unknown field `limt`"),
        (b'{"query": "x", "limit": 0}', "`int` >= 1 - at `$.limit`"),
        (b'{"query": "x", "limit": "5"}', "Expected `int`, got `str`"),
        (b'{"query": "x", "mode": "magic"}', "Invalid enum value 'magic'"),
        (b'{"query": " \\n"}', "text that is not empty"),
        (b'{"query": "\xff"}', "utf"),
        (b'{"query": "\\ud800"}', "truncated"),
        (b"[" * 100_000, ""),
    ],
)
def test_a_bad_body_is_explained(served: Served, body: bytes, says: str) -> None:
    answer = served.client.post("/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert says.lower() in error_of(answer)["message"].lower()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "The query is empty"),
        ("q=a&q=b", "given twice"),
        ("q=a&limit=x", "Expected `int`"),
        ("q=a&n=3", "unknown field `n`"),
        ("&".join(f"a{n}=1" for n in range(60)), "More than 50"),
    ],
)
def test_a_bad_query_string_is_explained(served: Served, query: str, says: str) -> None:
    answer = served.client.get(f"/search?{query}")
    assert answer.status_code == 400
    assert says in error_of(answer)["message"]


def test_what_is_not_there_and_what_may_not_be_done(served: Served) -> None:
    nowhere = served.client.get("/nowhere")
    assert (nowhere.status_code, error_of(nowhere)["code"]) == (404, "not_found")
    for method, path, allow in [
        ("DELETE", "/search", "POST, GET, HEAD"),
        ("PUT", "/documents/kiln", "GET, DELETE, HEAD"),
        ("GET", "/documents", "POST"),
        ("PATCH", "/health", "GET, HEAD"),
    ]:
        answer = served.client.request(method, path)
        assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == set(allow.split(", "))


def test_a_mangled_request_is_refused_in_our_words(served: Served) -> None:
    answer = raw(served, b"GET / SPDY/9\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'"hint":"This server speaks HTTP/1.1."}}')


def test_every_answer_carries_its_headers(served: Served) -> None:
    for path in ("/search?q=kiln", "/docs", "/nowhere", "/metrics", "/openapi.json"):
        headers = served.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "server" not in headers


def test_the_page_policy_lets_only_our_own_files_in(served: Served) -> None:
    policy = served.client.get("/docs").headers["content-security-policy"]
    sources = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert sources["script-src"] == sources["style-src"] == sources["connect-src"] == "'self'"
    assert sources["img-src"] == "'self' data:"


def test_the_docs_page_needs_nothing_from_elsewhere(served: Served) -> None:
    html = served.client.get("/docs").text
    assert "<script" not in html
    addresses = [part.split('"')[0] for part in html.split('href="')[1:]] + html.split('src="')[1:]
    assert all(address.startswith(("#", "/")) for address in addresses)
    for path in served.client.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in html
    assert served.client.get("/docs.css").headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/%2e%2e/keys.py", "/etc/passwd", "%00"])
def test_no_other_file_of_the_server_is_a_page(served: Served, name: str) -> None:
    answer = raw(
        served,
        f"GET /static/{name} HTTP/1.1\r\nHost: localhost:{served.port}\r\nConnection: close\r\n\r\n".encode(),
    )
    assert answer.split()[1] in (b"404", b"400")


def test_request_ids_come_back_and_are_made_up_where_missing(served: Served) -> None:
    given = served.client.get("/health", headers={"X-Request-Id": "trace-7.b"})
    assert given.headers["x-request-id"] == "trace-7.b"
    made = {served.client.get("/health").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    bad = served.client.get("/health", headers={"X-Request-Id": "x" * 65}).headers["x-request-id"]
    assert bad != "x" * 65


# -- beyond this machine


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.9.10", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("no-such-name.invalid", False),
    ],
)
def test_which_addresses_are_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_which_clients_are_on_this_machine() -> None:
    assert [client_is_local(host) for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == [True] * 3
    assert [client_is_local(host) for host in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "")] == [
        False
    ] * 4


def test_without_keys_it_does_not_listen_beyond_this_machine() -> None:
    with pytest.raises(UsageError, match="anyone on the network") as caught:
        check_bind("0.0.0.0", has_keys=False)
    assert "localsearch keys create" in caught.value.hint
    check_bind("0.0.0.0", has_keys=True)
    check_bind("127.0.0.1", has_keys=False)


# -- keys


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    db = ServiceDatabase(tmp_path)
    yield Keys(db)
    db.close()


def test_a_key_is_found_by_its_text_and_by_nothing_else(keys: Keys, tmp_path: Path) -> None:
    key, text = keys.create("reader", "read")
    other, other_text = keys.create("writer", "write")
    ring = KeyRing(ServiceDatabase(tmp_path))
    assert ring.find(text.encode()) == key
    assert ring.find(other_text.encode()) == other
    prefix, secret = text[:11], text.split("_", 2)[2]
    for wrong in (f"ls_{other.id}_{secret}", prefix + "_", "ls", "", "ls__", text + "x", text[:-1], "é" * 40):
        assert ring.find(wrong.encode()) is None


def test_only_hashes_are_stored(keys: Keys, tmp_path: Path) -> None:
    _, text = keys.create("reader")
    stored = (tmp_path / "service.db").read_bytes()
    assert text.split("_", 2)[2].encode() not in stored  # a secret may hold underscores itself
    assert (tmp_path / "service.db").stat().st_mode & 0o777 == 0o600


def test_each_scope_holds_those_before_it(keys: Keys) -> None:
    made = {scope: keys.create(scope, scope)[0] for scope in ("read", "write", "admin")}  # type: ignore[arg-type]
    assert [made["read"].may(scope) for scope in ("read", "write", "admin")] == [True, False, False]
    assert [made["write"].may(scope) for scope in ("read", "write", "admin")] == [True, True, False]
    assert [made["admin"].may(scope) for scope in ("read", "write", "admin")] == [True, True, True]


def test_bad_keys_are_explained(keys: Keys) -> None:
    with pytest.raises(UsageError, match="no scope 'root'"):
        keys.create("x", "root")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="needs a name"):
        keys.create("  ")
    with pytest.raises(NotFoundError, match="no valid key 'abc'"):
        keys.revoke("abc")


def test_a_revoked_key_ends_and_stays_in_the_list(keys: Keys, tmp_path: Path) -> None:
    key, text = keys.create("reader")
    ring = KeyRing(ServiceDatabase(tmp_path))
    keys.revoke(key.id)
    ring.refresh()
    assert ring.find(text.encode()) is None
    assert not keys.any()
    (listed,) = keys.list()
    assert (listed.name, listed.revoked is not None) == ("reader", True)
    with pytest.raises(NotFoundError):
        keys.revoke(key.id)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A server that wants keys, and one key of each scope."""
    home = tmp_path_factory.mktemp("locked") / "home"
    db = ServiceDatabase(home)
    texts = {scope: Keys(db).create(scope, scope)[1] for scope in ("read", "write", "admin")}  # type: ignore[arg-type]
    db.close()
    with notes(home, require_keys=True) as served:
        yield served, texts


def asked(served: Served, key: str | None, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return served.client.request(method, path, json=body, headers=headers)


ROUTES = [
    ("read", "POST", "/search", {"query": "kiln"}),
    ("read", "GET", "/search?q=kiln", None),
    ("read", "GET", "/documents/kiln", None),
    ("read", "GET", "/passages/kiln", None),
    ("read", "GET", "/metrics", None),
    ("read", "GET", "/stats", None),
    ("read", "GET", "/jobs", None),
    ("read", "GET", "/ledger", None),
    ("write", "POST", "/documents", {"documents": [{"id": "new", "text": "A new note."}]}),
    ("write", "POST", "/feedback", {"query": "kiln", "id": "kiln", "relevant": True}),
    ("write", "DELETE", "/documents/new", None),
    ("admin", "POST", "/cache/clear", None),
    ("admin", "POST", "/index", {"paths": ["/no/such/folder"]}),
]


@pytest.mark.parametrize(("scope", "method", "path", "body"), ROUTES)
def test_each_route_wants_its_scope(
    locked: tuple[Served, dict[str, str]], scope: str, method: str, path: str, body: object
) -> None:
    served, texts = locked
    without = asked(served, None, method, path, body)
    assert (without.status_code, error_of(without)["code"]) == (401, "key_required")
    assert without.headers["www-authenticate"] == "Bearer"
    order = ("read", "write", "admin")
    for one in order:
        answer = asked(served, texts[one], method, path, body)
        if order.index(one) < order.index(scope):
            assert (answer.status_code, error_of(answer)["code"]) == (403, "scope")
        else:
            assert answer.status_code in (200, 404), answer.text


@pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/openapi.json"])
def test_some_routes_need_no_key(locked: tuple[Served, dict[str, str]], path: str) -> None:
    assert locked[0].client.get(path).status_code == 200


def test_a_wrong_key_is_refused_everywhere(locked: tuple[Served, dict[str, str]], served: Served) -> None:
    for one in (locked[0], served):
        for headers in (
            {"Authorization": "Bearer ls_00000000_wrong"},
            {"X-API-Key": "é".encode()},
            {"X-API-Key": "x"},
        ):
            answer = one.client.get("/search?q=kiln", headers=headers)
            assert (answer.status_code, error_of(answer)["code"]) == (401, "bad_key")


def test_a_key_may_come_in_either_header(locked: tuple[Served, dict[str, str]]) -> None:
    served, texts = locked
    for headers in ({"X-API-Key": texts["read"]}, {"Authorization": f"bearer {texts['read']}"}):
        assert served.client.get("/search?q=kiln", headers=headers).status_code == 200


def test_a_key_revoked_elsewhere_ends_in_a_running_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    db = ServiceDatabase(home)
    key, text = Keys(db).create("guest")
    with notes(home, require_keys=True) as served:
        assert asked(served, text, "GET", "/search?q=kiln").status_code == 200
        Keys(db).revoke(key.id)
        for _ in range(100):
            if asked(served, text, "GET", "/search?q=kiln").status_code == 401:
                break
            served.service.stopping.wait(0.1)
        assert asked(served, text, "GET", "/search?q=kiln").status_code == 401
    db.close()


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with notes(home):
        assert home.stat().st_mode & 0o777 == 0o700
        databases = [*home.glob("*.db*")]
        assert {"index.db", "service.db", "query-vectors.db", "query-log.db"} <= {
            file.name for file in databases
        }
        assert [file.name for file in databases if file.stat().st_mode & 0o077] == []


def test_settings_keep_their_defaults_where_nothing_is_said() -> None:
    settings = ServerSettings()
    assert replace(settings, port=1).limits == settings.limits
    assert (settings.host, settings.port, settings.require_keys) == ("127.0.0.1", 8765, False)


# -- pages of other sites


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "websocket"},
]
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    "path", ["/", "/search?q=kiln", "/documents/kiln", "/static/app.js", "/health", "/no"]
)
def test_other_peoples_pages_read_nothing_and_cost_nothing(
    served: Served, headers: dict[str, str], path: str
) -> None:
    before = served.engine.answers.stats()
    answer = served.client.get(path, headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "bad_origin")
    after = served.engine.answers.stats()
    assert (after.hits, after.misses) == (before.hits, before.misses)


def test_a_link_opens_a_page_but_asks_nothing(served: Served) -> None:
    for path in ("/", "/docs"):
        assert served.client.get(path, headers=LINK).status_code == 200
    for path in ("/?q=kiln", "/search?q=kiln", "/documents/kiln", "/originals/kiln", "/openapi.json"):
        assert served.client.get(path, headers=LINK).status_code == 403
    assert served.client.post("/search", json={"query": "kiln"}, headers=LINK).status_code == 403


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_what_a_person_types_and_what_the_page_asks_is_answered(served: Served, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert served.client.get("/?q=kiln", headers=headers).status_code == 200
    assert served.client.get("/search?q=kiln", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost:{port}/health", b"200"),
        ("http://LOCALHOST:{port}/health", b"200"),
        ("http://localhost:{port}/search?q=kiln", b"200"),
        ("http://evil.example/health", b"403"),
        ("http://127.0.0.1:{port}/health", b"403"),
        ("http://localhost/health", b"403"),
        ("http://me@localhost:{port}/health", b"403"),
        ("http://localhost:{port}@evil.example/health", b"403"),
        ("//evil.example/health", b"404"),
    ],
)
def test_the_host_of_an_absolute_target_is_that_of_the_header(
    served: Served, target: str, status: bytes
) -> None:
    line = f"GET {target.format(port=served.port)} HTTP/1.1\r\n"
    answer = raw(served, (line + f"Host: localhost:{served.port}\r\nConnection: close\r\n\r\n").encode())
    assert answer.split()[1] == status


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_number_of_5000_digits_names_nothing(served: Served, method: str) -> None:
    long = "7" * 5000
    for path in (f"/jobs/{long}", f"/jobs/{long}/events", "/jobs/9223372036854775808"):
        assert served.client.request(method, path).status_code in (
            (404,) if "events" not in path else (404, 405)
        )
    for query in (f"limit={long}", f"offset={long}", f"budget_ms={long}", f"filters=year:{long}"):
        assert served.client.get(f"/search?q=kiln&{query}").status_code in (200, 400), query
    for field in ("limit", "offset", "min_relevance", "budget_ms"):
        content = f'{{"query": "kiln", "{field}": {long}}}'
        sent = served.client.post("/search", content=content, headers={"Content-Type": "application/json"})
        assert sent.status_code == 400
    assert served.client.post(f"/versions/{long}/activate").status_code == 404


@pytest.mark.parametrize(
    ("value", "length"),
    [(None, None), (b"", None), (b"+5", None), (b"5, 5", None), (b"0", 0), (b"0" * 5000, 0), (b"007", 7)],
)
def test_what_a_length_says(value: bytes | None, length: int | None) -> None:
    assert _length(value) == length


def test_a_length_beyond_every_limit_is_one() -> None:
    assert _length(b"9" * 5000) == _length(b"9" * 19) == sys.maxsize
