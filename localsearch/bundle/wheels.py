"""The wheels of localsearch and of all that it needs on another machine, fetched by pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localsearch.bundle.archive import sha256
from localsearch.bundle.target import Target
from localsearch.errors import LocalSearchError, UsageError

if TYPE_CHECKING:
    from packaging.metadata import Metadata
    from packaging.requirements import Requirement

_MOST_ROUNDS = 8
OWN = "localsearch"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel's file, its metadata, its hash, and the packages that it needs on the target."""

    file: Path
    metadata: Metadata
    sha256: str
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As PEP 503 writes it: lower case, dashes."""
        return canonical(self.metadata.name)


def canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def collect(
    target: Target, own: Path, extras: Sequence[str], folder: Path, links: Sequence[Path]
) -> list[Wheel]:
    """Fetch every wheel that `own` with its extras needs on the target, and pip, into a folder.

    pip evaluates markers for the Python that runs it; what it left out or took too much is found by evaluating them for
    the target. `links` are folders to look in first. Raises LocalSearchError with what pip said.
    """
    from packaging.requirements import Requirement

    wanted = [Requirement(f"{OWN}[{','.join(extras)}]" if extras else OWN), Requirement("pip")]
    asked = [f"{own}[{','.join(extras)}]" if extras else str(own), "pip"]
    for _ in range(_MOST_ROUNDS):
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            looking = [word for link in links for word in ("--find-links", str(link))]
            run_pip("download", "--dest", scratch, *looking, *target.options(), *asked)
            found = [read_wheel(path) for path in sorted(Path(scratch).glob("*.whl"))]
            needed, missing = closure(found, wanted, target)
            if not missing:
                return [_moved(wheel, folder) for wheel in needed]
        asked += missing
    raise LocalSearchError(f"no set of packages for {target.platform} has {', '.join(missing)}")


def _check_extras(own: Path, extras: Sequence[str]) -> None:
    """pip would say nothing about an extra that there is not."""
    there = {canonical(one) for one in read_wheel(own).metadata.provides_extra or ()}
    if unknown := [one for one in extras if canonical(one) not in there]:
        hint = f"There are: {', '.join(sorted(there))}"
        raise UsageError(f"localsearch has no extra {unknown[0]}.", hint=hint)


def closure(
    wheels: Iterable[Wheel], wanted: Iterable[Requirement], target: Target
) -> tuple[list[Wheel], list[str]]:
    """The wheels that are needed on the target, and the requirements that none of them meets."""
    there = {wheel.name: wheel for wheel in wheels}
    needs: dict[str, set[str]] = {}
    missing: dict[str, None] = {}
    queue, seen = list(wanted), set()
    while queue:
        requirement = queue.pop()
        name = canonical(requirement.name)
        wheel = there.get(name)
        if wheel is None or not requirement.specifier.contains(wheel.metadata.version, prereleases=True):
            missing[_plain(requirement)] = None
            continue
        needs.setdefault(name, set())
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                inner = list(_required(wheel, extra, target))
                needs[name] |= {canonical(one.name) for one in inner}
                queue += inner
    needed = [
        Wheel(there[name].file, there[name].metadata, there[name].sha256, tuple(sorted(needs[name])))
        for name in sorted(needs)
    ]
    return needed, list(missing)


def _required(wheel: Wheel, extra: str, target: Target) -> Iterator[Requirement]:
    environment = {**target.markers(), "extra": extra}
    for requirement in wheel.metadata.requires_dist or ():
        if requirement.marker is None:
            if not extra:
                yield requirement
        elif requirement.marker.evaluate(environment):
            yield requirement


def _plain(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def read_wheel(path: Path) -> Wheel:
    """A wheel's file with its metadata and hash."""
    from packaging.metadata import Metadata

    return Wheel(path, Metadata.from_email(member(path, "METADATA"), validate=False), sha256(path))


def _moved(wheel: Wheel, folder: Path) -> Wheel:
    target = Path(shutil.move(wheel.file, folder / wheel.file.name))
    return Wheel(target, wheel.metadata, wheel.sha256, wheel.needs)


def member(wheel: Path, name: str) -> bytes:
    """A file of a wheel's .dist-info folder."""
    with zipfile.ZipFile(wheel) as archive:
        inside = next(one for one in archive.namelist() if one.endswith(f".dist-info/{name}"))
        return archive.read(inside)


def run_pip(*words: str, more: dict[str, str] | None = None) -> None:
    """Run pip; LocalSearchError with what it said where it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(more or {})})
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [
            done.stderr.strip()
        ]
        raise LocalSearchError(
            f"pip {words[0]} failed: {' '.join(lines)[-1500:]}",
            hint="It needs a package registry, or folders of wheels named with --find-links.",
        )
