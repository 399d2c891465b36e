"""What compose.yml and the Containerfile say, held against the files they name, the settings and a real Prometheus."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from containers import Instruction, parse
from serving import notes

from localsearch.server.guards import Guards
from localsearch.server.keys import Keys
from localsearch.settings import load

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_THE_OPERATOR = {"./tls/cert.pem", "./tls/key.pem", "./keys/prometheus"}
"""Mounted files that no checkout has: deploy/README.md has the commands that make them."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    """The instructions of each stage, without its FROM."""
    found: list[list[Instruction]] = []
    for one in parse((DEPLOY / "Containerfile").read_text()):
        if one.name == "FROM":
            found.append([])
        else:
            found[-1].append(one)
    return found


def test_continued_lines_comments_and_options_are_understood() -> None:
    text = '# a\nRUN one \\\n && two \\\n# between\n && three\nCOPY --from=build --chown=a /b /c\nCMD ["d"]\n'
    assert parse(text) == [
        Instruction("RUN", {}, "one && two && three"),
        Instruction("COPY", {"from": "build", "chown": "a"}, "/b /c"),
        Instruction("CMD", {}, '["d"]'),
    ]


def test_the_image_has_a_user_a_health_check_and_what_an_earlier_stage_made(
    stages: list[list[Instruction]],
) -> None:
    base, build, last = stages
    assert [one.text for one in last if one.name == "USER"] == ["10001:10001"]
    assert "/health" in next(one.text for one in last if one.name == "HEALTHCHECK")
    assert {one.options.get("from") for one in last if one.name == "COPY"} == {"build"}
    installed = [
        one.text for one in last if one.name == "RUN" and ("apt-get" in one.text or "pip" in one.text)
    ]
    assert installed == []
    assert any("apt-get install" in one.text for one in base)
    assert any("pip install" in one.text for one in build)


def test_every_service_is_confined(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"localsearch", "nginx", "prometheus"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"] == 256, name
        assert service.get("user", "10001:10001").split(":")[0] != "0", name


def test_only_nginx_is_reached_from_outside(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "ports" not in services["localsearch"]
    assert services["localsearch"]["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert services["nginx"]["ports"] == ["${LISTEN:-127.0.0.1:8443}:443"]


def test_what_is_mounted_is_there(compose: dict[str, Any]) -> None:
    mounted = [
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
        if volume.startswith("./")
    ]
    assert set(mounted) >= OF_THE_OPERATOR
    for source in set(mounted) - OF_THE_OPERATOR:
        assert (DEPLOY / source).is_file(), source
    service = compose["services"]["localsearch"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_the_settings_of_the_container_know_the_names_it_is_asked_by(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copy(DEPLOY / "container" / "settings.toml", tmp_path)
    settings = load(tmp_path, environ={})
    assert settings.notes == ()
    assert (settings.server.host, settings.server.require_keys) == ("0.0.0.0", True)
    documents = compose["services"]["localsearch"]["command"][-1]
    assert settings.server.index_roots == (documents,)
    guards = Guards.of(settings.server)
    published = compose["services"]["nginx"]["ports"][0].partition(":-127.0.0.1:")[2].partition("}")[0]
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.container.yml").read_text())[
        "scrape_configs"
    ]
    (target,) = job["static_configs"][0]["targets"]
    for name in (f"localhost:{published}", target, "127.0.0.1:8765"):
        guards.check_host([name.encode()])
    assert f"server {target};" in (DEPLOY / "nginx" / "upstream.container.conf").read_text()


def test_the_files_for_containers_differ_from_the_others_by_the_address(tmp_path: Path) -> None:
    def lines(name: str) -> list[str]:
        text = (DEPLOY / name).read_text().replace("127.0.0.1:8765", "localsearch:8765")
        return [line for line in text.splitlines() if not line.lstrip().startswith("#")]

    assert lines("nginx/upstream.conf") == lines("nginx/upstream.container.conf")
    with_a_key = lines("prometheus/prometheus.container.yml")
    assert with_a_key[:-3] == lines("prometheus/prometheus.yml")
    assert with_a_key[-3].strip() == "authorization:"


def test_the_prometheus_of_the_containers_scrapes_with_its_key(tmp_path: Path) -> None:
    binary, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if not binary or not promtool:
        pytest.skip("prometheus is not installed (Debian's package prometheus)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with notes(tmp_path / "home", require_keys=True) as served:
        (tmp_path / "key").write_text(Keys(served.service.db).create("prometheus")[1])
        served.service.keyring.refresh()
        text = (DEPLOY / "prometheus" / "prometheus.container.yml").read_text()
        for old, new in (
            ("localsearch:8765", f"127.0.0.1:{served.port}"),
            ("/etc/prometheus/localsearch.key", str(tmp_path / "key")),
            ("15s", "1s"),
        ):
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "prometheus.yml").write_text(text)
        shutil.copy(DEPLOY / "prometheus" / "rules.yml", tmp_path)
        subprocess.run(
            [promtool, "check", "config", "prometheus.yml"], cwd=tmp_path, check=True, capture_output=True
        )
        command = [binary, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}"]
        command += [f"--storage.tsdb.path={tmp_path / 'data'}", "--log.level=error"]
        process = subprocess.Popen(command, cwd=tmp_path)
        try:
            (target,) = scraped(port)
        finally:
            process.terminate()
            process.wait(30)
    assert (target["health"], target["lastError"]) == ("up", "")


def scraped(port: int, seconds: float = 60.0) -> list[dict[str, Any]]:
    """The targets of a Prometheus, once each has been asked."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets", timeout=10).json()
            found: list[dict[str, Any]] = answer["data"]["activeTargets"]
            if found and all(target["health"] != "unknown" for target in found):
                return found
        except (httpx.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.2)
    raise AssertionError("Prometheus asked nobody")
