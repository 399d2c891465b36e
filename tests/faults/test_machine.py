"""The set-up of a machine by deploy/README.md, command by command, in a Debian that boots systemd: the service, nginx."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from containers import Builder, Stage, parse
from harness import need_root
from machines import Machine, booted

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "deploy" / "README.md"
DEBIAN = """
FROM docker.io/library/debian:trixie-slim
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ca-certificates curl dbus nginx openssl python3 python3-venv systemd systemd-sysv
RUN echo 127.0.0.1 search.example.org >> /etc/hosts
COPY pyproject.toml hatch_build.py README.md LICENSE /srv/checkout/
COPY models/*.toml /srv/checkout/models/
COPY data/sample /srv/checkout/data/sample
COPY data/sample /srv/documents
COPY localsearch /srv/checkout/localsearch
WORKDIR /srv/checkout
"""
FIRST_OF_SYSTEMD = "cp deploy/systemd/system/"
"""Up to this command they need the package registry, and no systemd; from it on the other way round."""


def commands(title: str) -> list[str]:
    """What root types in a section of deploy/README.md."""
    section = README.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"(?m)^    # (.+)$", section)
    assert found
    return found


@dataclass(frozen=True, slots=True)
class SetUp:
    """A Debian in which all was done that needs the registry; `key` is the one that was made."""

    stage: Stage
    key: str
    rest: tuple[str, ...]


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUp]:
    need_root("making root folders")
    for program in ("debootstrap", "systemd-nspawn"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin"):
            pytest.skip(f"{program} is not installed (Debian's packages debootstrap and systemd-container)")
    work = tmp_path_factory.mktemp("machine")
    builder = Builder(CHECKOUT, work, {})
    stage = builder.build(parse(DEBIAN))
    shutil.copytree(CHECKOUT / "deploy", stage.root / "srv/checkout/deploy")
    typed = commands("A server for a machine")
    turn = next(number for number, command in enumerate(typed) if command.startswith(FIRST_OF_SYSTEMD))
    key = ""
    for command in typed[:turn]:
        started = time.perf_counter()
        said = builder.run(stage, command)
        print(f"\n{time.perf_counter() - started:6.1f} s  {command}", end="")
        if found := re.search(r"ls_\S+", said):
            key = found[0]
    yield SetUp(stage, key, tuple(typed[turn:]))
    shutil.rmtree(work)


@pytest.fixture
def machine(debian: SetUp, tmp_path: Path) -> Iterator[Machine]:
    with booted(debian.stage.root, tmp_path / "log") as one:
        yield one


def typed(machine: Machine, command: str, key: str) -> str:
    """Type a command of the docs, in the checkout, and show how long it took."""
    started = time.perf_counter()
    said = machine.says(f"cd /srv/checkout && {command.replace('KEY', key)}")
    print(f"\n{time.perf_counter() - started:6.1f} s  {command}", end="")
    return said


def test_the_service_and_nginx_work_as_the_docs_say(debian: SetUp, machine: Machine) -> None:
    said = ""
    for command in debian.rest:
        if command.startswith("curl"):
            machine.says("timeout 60 sh -c 'until curl -sf http://127.0.0.1:8765/health; do sleep 0.2; done'")
        said = typed(machine, command, debian.key)
    assert json.loads(said)["results"][0]["path"] == "/srv/documents/kitchen/sourdough-starter.md"
    unkeyed = "curl -s -o /dev/null -w '%{http_code}' 'http://127.0.0.1:8765/search?q=sourdough'"
    assert machine.says(unkeyed) == "401"

    status = machine.says("cat /proc/$(systemctl show -P MainPID localsearch)/status")
    assert re.search(r"(?m)^CapBnd:\t0+$", status)
    assert re.search(r"(?m)^NoNewPrivs:\t1$", status)
    assert re.search(r"(?m)^Seccomp:\t2$", status)
    assert "ls_" not in machine.says("journalctl --unit=localsearch --no-pager")

    # Readers of files are confined within the service's own confinement, and what they read is found.
    machine.says("echo 'The porcelain bisque cools slowly.' > /srv/documents/new.txt")
    machine.says("gzip -k /srv/documents/new.txt && cp /srv/documents/new.txt /srv/documents/kitchen/new.csv")
    indexed = machine.says("localsearch-as-service --json index /srv/documents")
    assert json.loads(indexed)["files"]["failed"] == 0
    found = json.loads(machine.says(curl("http://127.0.0.1:8765/search?q=porcelain", debian.key)))
    assert found["results"][0]["path"].startswith("/srv/documents/")

    for command in commands("nginx in front"):
        if command.startswith("curl"):
            machine.says("timeout 60 sh -c 'until curl -sf http://127.0.0.1:8765/health; do sleep 0.2; done'")
        said = typed(machine, command, debian.key)
    assert json.loads(said)["results"][0]["path"] == "/srv/documents/kitchen/sourdough-starter.md"
    assert "ls_" not in machine.says("cat /var/log/nginx/access.log")

    machine.says("systemctl stop localsearch")
    assert machine.says("systemctl show -P Result -P ExecMainStatus localsearch").split() == ["success", "0"]
    away = machine.says(curl("https://search.example.org/health --cacert /etc/localsearch/tls/cert.pem", ""))
    assert json.loads(away)["error"]["code"] == "unavailable"


def test_the_socket_starts_the_service_and_a_restart_refuses_nobody(debian: SetUp, machine: Machine) -> None:
    machine.says("systemctl disable --now localsearch.service && systemctl enable --now localsearch.socket")
    assert machine.run("systemctl is-active localsearch.service").stdout == "inactive\n"
    ask = curl("http://127.0.0.1:8765/search?q=sourdough", debian.key)
    assert json.loads(machine.says(ask))["results"]
    assert machine.says("systemctl is-active localsearch.service") == "active\n"
    restarting = (
        f"systemctl restart localsearch & for i in 1 2 3 4 5; do {ask} > /dev/null || exit 1; done; wait"
    )
    machine.says(restarting)


def curl(url: str, key: str) -> str:
    return f"curl -sS -H 'Authorization: Bearer {key}' {url.replace('?', chr(92) + '?')}"
