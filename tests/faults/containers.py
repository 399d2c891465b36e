"""Builds a Containerfile without a container engine, in folders made by debootstrap, and runs what it made.

Each instruction is carried out as its name says: RUN by a shell in the stage's own root, COPY from the checkout or from
an earlier stage, the rest remembered. What was made runs with its root mounted read-only, as its USER, in namespaces of
its own for processes, mounts, names and the network, which has the loopback interface alone. An instruction or option
that is not known here is an error.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DISTRIBUTION = re.compile(r"docker\.io/library/debian:(?P<suite>[a-z]+)-slim")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Instruction:
    """`COPY --from=build a b` is the name COPY, the options {"from": "build"} and the text "a b"."""

    name: str
    options: Mapping[str, str]
    text: str


@dataclass(slots=True)
class Stage:
    """One stage: its root folder and what its instructions say of running it."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def expand(self, text: str) -> str:
        """Put in what ENV and ARG say: $NAME and ${NAME}."""
        known = {**self.arguments, **self.environment}
        return re.sub(r"\$\{?([A-Z_]+)\}?", lambda found: known[found[1]], text)


def parse(text: str) -> list[Instruction]:
    """The instructions of a Containerfile, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        options = {}
        while match := re.match(r"\s*--([a-z-]+)=(\S+)\s+", rest):
            options[match[1]] = match[2]
            rest = rest[match.end() :]
        found.append(Instruction(name, options, rest.strip()))
    return found


class Builder:
    """Builds all stages into folders below `work`; `context` is what COPY copies from."""

    def __init__(self, context: Path, work: Path, arguments: Mapping[str, str]) -> None:
        self._context, self._work, self._given = context, work, arguments
        self._stages: dict[str, Stage] = {}
        self._ignored = set((context / ".dockerignore").read_text().splitlines())
        anywhere = [line.removeprefix("**/") for line in self._ignored if line.startswith("**/")]
        self._ignore = shutil.ignore_patterns(*anywhere)

    def build(self, instructions: Sequence[Instruction]) -> Stage:
        """The last stage."""
        stage: Stage | None = None
        for one in instructions:
            if one.name == "FROM":
                stage = self._begin(one.text)
            else:
                assert stage is not None, f"{one.name} before FROM"
                self._carry_out(one, stage)
        assert stage is not None
        return stage

    def _begin(self, text: str) -> Stage:
        source, _, name = text.partition(" AS ")
        stage = Stage(self._work / (name or "last"))
        if source in self._stages:
            former = self._stages[source]
            subprocess.run(["cp", "-a", "--reflink=auto", str(former.root), str(stage.root)], check=True)
            stage.environment |= former.environment
        else:
            found = DISTRIBUTION.fullmatch(source)
            assert found, f"no image is known by the name {source}"
            command = ["debootstrap", "--variant=minbase", found["suite"], str(stage.root)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self._stages[name] = stage
        return stage

    def _carry_out(self, one: Instruction, stage: Stage) -> None:
        allowed = {"COPY": {"from"}, "HEALTHCHECK": {"interval", "timeout", "start-period"}}
        assert set(one.options) <= allowed.get(one.name, set()), one
        match one.name:
            case "ARG":
                name, _, default = one.text.partition("=")
                stage.arguments[name] = self._given.get(name, shlex.split(default)[0])
            case "ENV":
                for word in shlex.split(one.text):
                    name, _, value = word.partition("=")
                    stage.environment[name] = stage.expand(value)
            case "RUN":
                self.run(stage, one.text)
            case "COPY":
                self._copy(stage, one)
            case "WORKDIR":
                stage.folder = stage.expand(one.text)
                (stage.root / stage.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                stage.user = one.text
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(one.text)
            case "CMD":
                stage.command = json.loads(one.text)
            case "HEALTHCHECK":
                stage.health = json.loads(one.text.removeprefix("CMD"))
            case "VOLUME":
                stage.volumes.append(one.text)
            case "EXPOSE":
                assert int(one.text)
            case _:
                raise AssertionError(f"no such instruction: {one.name}")

    def run(self, stage: Stage, text: str) -> str:
        """RUN, with the network and what this machine needs to reach it; what the command says."""
        assert stage.user == "0:0", "nothing is built as another user"
        environment = {**_of_this_machine(stage.root), **stage.arguments, **stage.environment}
        command = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--",
            "chroot",
            str(stage.root),
            "/bin/sh",
            "-c",
        ]
        command.append(f"mount -t proc proc /proc; cd {stage.folder}; {text}")
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-4000:]}"
        return done.stdout

    def _copy(self, stage: Stage, one: Instruction) -> None:
        *sources, target = one.text.split()
        origin, ignore = self._context, self._ignore
        if "from" in one.options:
            origin, ignore = self._stages[one.options["from"]].root, None
        else:
            assert {f"!{source}" for source in sources} <= self._ignored, "not in .dockerignore"
        place = stage.root / os.path.join(stage.folder, target).lstrip("/")
        for source in sources:
            found = sorted(origin.glob(source.lstrip("/")))
            assert found, f"nothing to copy: {source}"
            for path in found:
                if path.is_dir():
                    # The content of a folder, as COPY does.
                    shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, ignore=ignore)
                else:
                    into = place / path.name if target.endswith("/") else place
                    into.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, into)


def _of_this_machine(root: Path) -> dict[str, str]:
    """Proxies, certificates and the package registry that programs of this machine are told to use."""
    told = {name: os.environ[name] for name in os.environ if re.match(r"PIP_(?!FIND)|.*_proxy$", name, re.I)}
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if authorities := os.environ.get("SSL_CERT_FILE"):
        copy = root / "usr/local/share/authorities.pem"
        shutil.copy(authorities, copy)
        inside = f"/{copy.relative_to(root)}"
        told |= {"SSL_CERT_FILE": inside, "PIP_CERT": inside}
    return told


@dataclass(frozen=True, slots=True)
class Container:
    """What was built, with folders of this machine mounted: by path inside, the folder and "rw" or "ro"."""

    stage: Stage
    mounts: Mapping[str, tuple[Path, str]]

    @contextmanager
    def started(self, log: Path, arguments: Sequence[str] = ()) -> Iterator[Running]:
        """Start it as an engine would, with these arguments in place of CMD; ended by SIGTERM after the block."""
        command = [*self.stage.entrypoint, *(arguments or self.stage.command)]
        with log.open("ab") as output:
            outer = subprocess.Popen(self._entering(command), stdout=output, stderr=output)
        running = Running(self.stage, outer, log)
        try:
            yield running
        finally:
            running.stop()

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`run --rm`: start it with these arguments and wait for its end."""
        command = self._entering([*self.stage.entrypoint, *arguments])
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def _entering(self, command: Sequence[str]) -> list[str]:
        """A command that makes the namespaces and mounts, and becomes `command` inside."""
        root = self.stage.root
        steps = [f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
        for inside in ("/tmp", "/dev/shm"):
            steps += [f"mkdir -p {root}{inside}", f"mount -t tmpfs -o mode=1777 tmpfs {root}{inside}"]
        for inside, (folder, mode) in self.mounts.items():
            steps += [f"mkdir -p {root}{inside}", f"mount --bind {folder} {root}{inside}"]
            steps.append(f"mount -o remount,bind,{mode} {root}{inside}")
        steps += [f"mount -o remount,bind,ro {root}", "ip link set lo up"]
        steps.append("exec " + shlex.join(confined(self.stage, command)))
        spaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        return ["unshare", *spaces, "--", "/bin/sh", "-ec", "\n".join(steps)]


def confined(stage: Stage, command: Sequence[str]) -> list[str]:
    """Become the stage's USER in its root, without any capability, for good."""
    user, _, group = stage.user.partition(":")
    who = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
    none = ["--bounding-set=-all", "--inh-caps=-all"]
    environment = ["env", "-i", *(f"{name}={value}" for name, value in stage.environment.items())]
    shell = ["/bin/sh", "-c", f'cd {stage.folder} && exec "$@"', "sh"]
    inside = ["setpriv", *who, *none, "--", *environment, *shell, *command]
    return ["chroot", str(stage.root), *inside]


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs."""

    stage: Stage
    outer: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The first process inside, by its number outside."""
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        while not (found := children.read_text().split()):
            assert self.outer.poll() is None, self.log.read_text()
            time.sleep(0.01)
        return int(found[0])

    def execute(self, command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
        """`exec`: run another program inside."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--ipc", "--uts", "--"]
        return subprocess.run(
            [*enter, *confined(self.stage, command)],
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def wait_until_healthy(self, seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while self.execute(self.stage.health).returncode:
            assert self.outer.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.2)

    def stop(self) -> int:
        """Send SIGTERM and give the exit code."""
        if self.outer.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.outer.wait(60)
