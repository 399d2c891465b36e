"""deploy/scale: what its files say, and its nginx before a primary and three readers that follow it, as processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from replicas import add, open_index
from serving import PLAIN

from benchmarks.first_start import commands
from benchmarks.front import UNLIMITED, Front, free_port, nginx, program
from localsearch.errors import SettingsError
from localsearch.server.database import ServiceDatabase
from localsearch.server.guards import Guards
from localsearch.server.keys import Keys
from localsearch.settings import VectorSettings, load

SCALE = Path(__file__).parents[2] / "deploy" / "scale"
OF_THE_OPERATOR = {"../tls/cert.pem", "../tls/key.pem", "../keys/prometheus"}
"""Mounted files that no checkout has: deploy/scale/README.md has the commands that make them."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SCALE / "compose.yml").read_text())
    return found


def readers(compose: dict[str, Any]) -> list[str]:
    return sorted(name for name in compose["services"] if name.startswith("reader"))


# -- what the files say


def test_every_service_but_milvus_is_confined_and_milvus_as_far_as_it_can_be(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"primary", "reader1", "reader2", "reader3", "nginx", "prometheus", "milvus"}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        if name != "milvus":
            assert service["read_only"] is True, name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service.get("user", "10001:10001").split(":")[0] != "0", name


def test_only_nginx_is_reached_from_outside_and_milvus_not_even_by_nginx(compose: dict[str, Any]) -> None:
    services, networks = compose["services"], compose["networks"]
    assert networks["inside"] == networks["vectors"] == {"internal": True}
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {
        "nginx": ["${LISTEN:-127.0.0.1:8443}:443"],
        "prometheus": ["127.0.0.1:9090:9090"],
    }
    assert services["milvus"]["networks"] == ["vectors"]
    assert "vectors" not in services["nginx"]["networks"]
    for name in ("primary", *readers(compose)):
        assert "outside" not in services[name]["networks"], name


def test_milvus_is_started_by_its_profile_alone_and_nothing_waits_for_it(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name, one in services.items() if "profiles" in one} == {"milvus"}
    assert services["milvus"]["profiles"] == ["milvus"]
    for name, service in services.items():
        assert "milvus" not in service.get("depends_on", {}), name


def test_milvus_compares_new_rows_exactly(compose: dict[str, Any]) -> None:
    """tests/backends/test_deployed.py starts a server with this variable."""
    environment = compose["services"]["milvus"]["environment"]
    assert environment["QUERYNODE_SEGCORE_INTERIMINDEX_ENABLEINDEX"] == "false"


def test_what_is_mounted_is_there(compose: dict[str, Any]) -> None:
    mounted = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
        if volume.startswith(".")
    }
    assert mounted >= OF_THE_OPERATOR
    for source in mounted - OF_THE_OPERATOR:
        assert (SCALE / source).is_file(), source
    build = compose["services"]["primary"]["build"]
    assert (SCALE / build["context"] / build["dockerfile"]).is_file()


def test_each_reader_has_a_folder_of_its_own_and_follows_the_primary(compose: dict[str, Any]) -> None:
    named = readers(compose)
    assert len(named) == 3
    for name in named:
        service = compose["services"][name]
        assert f"{name}:/var/lib/localsearch" in service["volumes"]
        assert name in compose["volumes"]
        assert service["command"] == ["serve", "--follow", "http://primary:8765"]
        assert (
            service["environment"]["LOCALSEARCH_OFFLINE"] == "0"
        )  # the image says 1, which forbids to follow
        assert service["depends_on"]["primary"]["condition"] == "service_healthy"
        assert compose["services"]["nginx"]["depends_on"][name]["restart"] is True


def test_every_place_that_names_the_readers_names_the_same(compose: dict[str, Any], tmp_path: Path) -> None:
    named = readers(compose)
    upstream = (SCALE / "upstream.conf").read_text()
    assert re.findall(r"server (reader\d):8765 ", upstream) == named
    jobs = yaml.safe_load((SCALE / "prometheus.yml").read_text())["scrape_configs"]
    targets = jobs[0]["static_configs"][0]["targets"]
    assert targets == [f"{name}:8765" for name in ("primary", *named)]
    shutil.copy(SCALE / "settings.toml", tmp_path)
    settings = load(tmp_path, environ={})
    assert settings.notes == ()
    assert (settings.server.host, settings.server.require_keys) == ("0.0.0.0", True)
    published = compose["services"]["nginx"]["ports"][0].partition(":-127.0.0.1:")[2].partition("}")[0]
    assert settings.server.primary == f"https://localhost:{published}"
    guards = Guards.of(settings.server)
    for name in (f"localhost:{published}", *targets):
        guards.check_host([name.encode()])


def test_the_lines_for_milvus_are_settings_of_a_release_that_has_them(tmp_path: Path) -> None:
    block = re.search(r"    \[vectors\]\n(?:    \S.*\n)+", (SCALE / "README.md").read_text())
    assert block
    (tmp_path / "settings.toml").write_text(re.sub("(?m)^ {4}", "", block[0]))
    if "backend" in {one.name for one in fields(VectorSettings)}:
        assert load(tmp_path, environ={}).vectors.backend == "milvus"  # type: ignore[attr-defined]
    else:
        with pytest.raises(SettingsError, match=r"vectors\.backend"):
            load(tmp_path, environ={})


def test_the_page_names_its_files_and_its_figures_are_those_of_the_results() -> None:
    text = (SCALE / "README.md").read_text()
    for file in SCALE.iterdir():
        assert file.name == "README.md" or f"`{file.name}`" in text, file.name
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert target.startswith("https:") or (SCALE / target).exists(), target
    (name,) = re.findall(r"results/first-start/([\w.-]+\.json)", text)
    results = json.loads((SCALE.parents[1] / "benchmarks" / "results" / "first-start" / name).read_text())
    assert f"took {results['until_installed_s']:.0f} s to install" in text
    assert f"and {results['until_answered_s']:.0f} s more" in text
    assert set(commands()) == set(results["seconds"]), "the commands have changed: measure again"


def test_promtool_takes_the_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    key = tmp_path / "key"
    key.write_text("ls_none")
    text = (SCALE / "prometheus.yml").read_text()
    assert "/etc/prometheus/localsearch.key" in text
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/localsearch.key", str(key)))
    shutil.copy(SCALE.parent / "prometheus" / "rules.yml", tmp_path)
    command = [promtool, "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" in done.stdout


# -- its nginx before processes


@dataclass(frozen=True, slots=True)
class Scaled:
    """A primary, its readers by port, and nginx before them; `key` may do everything."""

    front: Front
    primary: int
    primary_process: subprocess.Popen[bytes]
    readers: dict[int, subprocess.Popen[bytes]]
    key: str

    def client(self, **headers: str) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self.front.folder / "cert.pem"))
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        url = f"https://localhost:{self.front.port}"
        return httpx.Client(base_url=url, verify=trust, headers=headers, timeout=60)

    def searches(self, port: int) -> int:
        """How many questions a server has answered itself."""
        url, headers = f"http://127.0.0.1:{port}/metrics", {"Authorization": f"Bearer {self.key}"}
        text = httpx.get(url, headers=headers, timeout=30, verify=PLAIN).text
        counts = re.findall(r'^localsearch_http_requests_total{[^}]*"/search"[^}]*} ([\d.e+]+)$', text, re.M)
        return int(sum(map(float, counts)))

    def stop_primary(self) -> None:
        self.primary_process.terminate()
        self.primary_process.wait(60)

    def has(self, port: int) -> str:
        """The state of a server."""
        found: str = httpx.get(f"http://127.0.0.1:{port}/ready", timeout=30, verify=PLAIN).json()["state"]
        return found


def settings_of(front: int) -> str:
    """settings.toml of deploy/scale with addresses of the test, and no limit of requests a second for a key."""
    text = (SCALE / "settings.toml").read_text()
    for old, new in (('"0.0.0.0"', '"127.0.0.1"'), ("localhost:8443", f"localhost:{front}")):
        assert old in text
        text = text.replace(old, new)
    return text + "follow_s = 0.2\n[server.limits]\nrate = 0\n"


@contextmanager
def command(
    home: Path, front: int, port: int, *words: str, key: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(f'models = "{home}/none"\n{settings_of(front)}')
    environment = {**os.environ, "LOCALSEARCH_OFFLINE": "0", "LOCALSEARCH_FOLLOW_KEY": key}
    argv = [sys.executable, "-m", "localsearch", "--home", str(home), "serve", "--port", str(port), *words]
    popen = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: ready(port), f"{words} is ready")
        yield popen
    finally:
        popen.terminate()
        popen.wait(60)


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=10, verify=PLAIN).status_code == 200
    except httpx.HTTPError:
        return False


def until(true: Any, what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


@contextmanager
def scaled(folder: Path) -> Iterator[Scaled]:
    try:
        program()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with open_index(folder / "primary") as engine:
        add(engine, 0, 40)
    db = ServiceDatabase(folder / "primary")
    _, key = Keys(db).create("everything", "admin")
    db.close()
    front, primary, *ports = (free_port() for _ in range(5))
    source = f"http://127.0.0.1:{primary}"
    with ExitStack() as stack:
        first = stack.enter_context(command(folder / "primary", front, primary, "--workers", "1"))
        following = {
            port: stack.enter_context(
                command(folder / f"reader{port}", front, port, "--follow", source, key=key)
            )
            for port in ports
        }
        before = stack.enter_context(nginx(front, primary, ports, UNLIMITED))
        yield Scaled(before, primary, first, following, key)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaled]:
    """For tests that end none of the processes."""
    with scaled(tmp_path_factory.mktemp("scaled")) as one:
        yield one


def test_questions_go_to_readers_by_turns_and_none_to_the_primary(together: Scaled) -> None:
    before = {port: together.searches(port) for port in (together.primary, *together.readers)}
    with together.client() as client:
        for n in range(30):
            answer = client.post("/search", json={"query": f"kiln word{n}"})
            assert answer.json()["results"][0]["id"] == f"n{n}"
    asked = {port: together.searches(port) - count for port, count in before.items()}
    assert asked.pop(together.primary) == 0
    assert sum(asked.values()) == 30
    assert min(asked.values()) > 0, asked


def test_whoever_writes_and_carries_the_state_finds_what_was_written_at_once(together: Scaled) -> None:
    with together.client() as client:
        for n in range(5):
            body = {"documents": [{"id": f"new{n}", "text": f"zebra{n}"}]}
            written = client.post("/documents", json=body)
            assert written.status_code == 200, written.text
            state = {"X-Localsearch-State": written.headers["X-Localsearch-State"]}
            found = client.post("/search", json={"query": f"zebra{n}", "mode": "lexical"}, headers=state)
            assert [hit["id"] for hit in found.json()["results"]] == [f"new{n}"]


def test_event_streams_are_the_primarys_and_come_as_they_are_made(together: Scaled) -> None:
    documents = [{"id": f"many{n}", "text": f"heron {n}"} for n in range(150)]
    with together.client() as client:
        started = client.post("/documents", json={"documents": documents})
        assert started.status_code == 202, started.text
        with client.stream("GET", started.json()["events"]) as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            told = "".join(events.iter_text())
        assert '"state":"done"' in told.replace(" ", "")
        state = {"X-Localsearch-State": client.get("/documents/many0").headers["X-Localsearch-State"]}
        found = client.post("/search", json={"query": "heron", "limit": 100}, headers=state)
        assert len(found.json()["results"]) == 100


def test_without_a_key_nothing_is_answered_by_either(together: Scaled) -> None:
    with together.client(Authorization="") as nobody:
        assert nobody.post("/search", json={"query": "kiln"}).status_code == 401
        assert nobody.get("/stats").status_code == 401


@pytest.mark.slow
def test_under_load_a_killed_reader_costs_no_request_nor_do_all_and_then_the_primary_answers(
    tmp_path: Path,
) -> None:
    with scaled(tmp_path) as one, load_on(one) as answers:
        first, *others = one.readers.values()
        until(lambda: len(answers) > 50, "questions are answered")
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        dead = len(answers)
        until(lambda: len(answers) > dead + 200, "questions go on")
        assert one.searches(one.primary) == 0, "two readers are left"
        for other in others:
            other.send_signal(signal.SIGKILL)
            other.wait(30)
        dead = len(answers)
        until(lambda: len(answers) > dead + 50, "the primary answers")
        assert Counter(answers) == Counter({(200, 5): len(answers)})
        assert one.searches(one.primary) >= 50


@pytest.mark.slow
def test_without_the_primary_questions_are_answered_and_writes_are_told_to_wait(tmp_path: Path) -> None:
    with scaled(tmp_path) as one, one.client() as client:
        until(lambda: all(one.has(port) == one.has(one.primary) for port in one.readers), "they have it all")
        one.stop_primary()
        for n in range(10):
            assert client.post("/search", json={"query": f"word{n}"}).json()["results"][0]["id"] == f"n{n}"
        refused = client.post("/documents", json={"documents": [{"id": "new", "text": "zebra"}]})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json()["error"]["code"] == "unavailable"


@contextmanager
def load_on(one: Scaled) -> Iterator[list[tuple[int, int]]]:
    """Four clients that ask by GET and POST in turn: status and number of hits of each answer."""
    answers: list[tuple[int, int]] = []
    stop = threading.Event()

    def ask() -> None:
        with one.client() as client:
            while not stop.is_set():
                posted = client.post("/search", json={"query": "kiln glaze"})
                got = client.get("/search", params={"q": "kiln glaze", "limit": 5})
                answers.extend(
                    (answer.status_code, len(answer.json().get("results", ()))) for answer in (posted, got)
                )

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in asking:
            thread.join()
