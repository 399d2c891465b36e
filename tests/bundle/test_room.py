"""A whole bundle, in a place without a network under strace: installed, used, upgraded, killed meanwhile, and gone back.

All of it happens once, in the fixture `room`; each test looks at a part. No call leaves the machine, no name is looked up.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localsearch.bundle.archive import sha256, verify
from localsearch.bundle.build import Built, seal
from localsearch.bundle.target import here
from localsearch.bundle.wheels import closure, read_wheel
from localsearch.models import ModelStore
from localsearch.platform.network import Traffic, read_trace, traced, without_network
from localsearch.settings import Settings

pytestmark = pytest.mark.slow
PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
CHECKOUT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("room_driver.py")


@dataclass(frozen=True)
class Bundles:
    """A bundle as `bundle build` makes it, unpacked, too, and one of a later release."""

    folder: Path
    first: Path
    newer: Path
    unpacked: Path
    built: dict[str, Any]
    later: Built


@dataclass(frozen=True)
class Room:
    """What was said and done in the room, step by step, and what the network was asked for."""

    folder: Path
    steps: dict[str, dict[str, Any]]
    traffic: Traffic

    def said(self, step: str) -> str:
        """What a step that went well printed."""
        assert self.steps[step]["code"] == 0, self.steps[step]
        return str(self.steps[step]["out"])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the installed program."""
        program = self.folder / "app" / "bin" / "localsearch"
        return subprocess.run([program, *words], capture_output=True, text=True, env=bare(self.folder))


def bare(folder: Path) -> dict[str, str]:
    """The environment of a machine on which nothing is set."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder / "nobody"), "LANG": "C.UTF-8"}


def later(wheel: Path, folder: Path) -> Path:
    """The same wheel under the number of a later release."""
    made = folder / wheel.name.replace("-0.1.0-", "-0.1.1-")
    record = []
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(("/METADATA", "localsearch/release.py")):
                data = data.replace(b"0.1.0", b"0.1.1")
            name = re.sub(r"^localsearch-0\.1\.0\.", "localsearch-0.1.1.", name)
            if not name.endswith("/RECORD"):
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                record.append(f"{name},sha256={digest},{len(data)}\n")
                new.writestr(name, data)
        new.writestr("localsearch-0.1.1.dist-info/RECORD", "".join(record))
    return made


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Bundles:
    for package in ("cyclonedx", "rapidocr", "mcp"):
        pytest.importorskip(package, reason="needs the extras [bundle], [ocr] and [mcp]")
    folder = tmp_path_factory.mktemp("bundles")
    words = ["--json", "--home", str(folder / "home"), "bundle", "build", str(folder / "first.tar")]
    done = subprocess.run(
        [sys.executable, "-m", "localsearch", *words, "--extra", "ocr", "--extra", "mcp"],
        capture_output=True,
        text=True,
        env=os.environ | {"LOCALSEARCH_MODELS": str(model_folder)},
    )
    if "pip download failed" in done.stderr:
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / "first.tar") as tar:
        tar.extractall(folder, filter="data")
    unpacked = next(folder.glob("localsearch-*"))
    return Bundles(
        folder,
        folder / "first.tar",
        folder / "newer.tar",
        unpacked,
        json.loads(done.stdout),
        renewed(folder, unpacked, model_folder),
    )


def renewed(folder: Path, unpacked: Path, models: Path) -> Built:
    """Make a bundle of a later release of what another holds, without the extras: less to install, and to compile."""
    from packaging.requirements import Requirement

    newer = folder / "newer"
    for path in unpacked.rglob("*"):
        if path.is_file() and path.parent.name != "installer":
            target = newer / path.relative_to(unpacked)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    for name in ("install.py", "manifest.json", "requirements.txt", "licences.md", "sbom.cdx.json"):
        (newer / name).unlink()
    (own,) = (newer / "wheels").glob("localsearch-*.whl")
    later(own, newer / "wheels")
    own.unlink()
    there = [read_wheel(path) for path in (newer / "wheels").iterdir()]
    wheels, missing = closure(there, [Requirement("localsearch"), Requirement("pip")], here())
    assert missing == []
    for one in {wheel.file for wheel in there} - {wheel.file for wheel in wheels}:
        one.unlink()
    card = ModelStore(Settings(home=folder, models=models)).verify("all-MiniLM-L6-v2")
    return seal(newer, folder / "newer.tar", here(), wheels, [card])


@pytest.fixture(scope="module")
def room(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("room")
    empty, trace = without_network(), traced(folder / "trace")
    if not empty or not trace:
        pytest.skip("needs unshare (util-linux) and leave to make namespaces, and strace")
    plan = {"folder": str(folder), "python": str(PYTHON), "unpacked": str(bundles.unpacked)}
    plan |= {
        "newer": str(bundles.newer),
        "id": bundles.built["id"],
        "later": bundles.later.id,
        "env": bare(folder),
    }
    done = subprocess.run(
        [*empty, *trace, sys.executable, str(DRIVER), json.dumps(plan)],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    assert done.returncode == 0, done.stderr
    steps = {step["name"]: step for step in map(json.loads, done.stdout.splitlines())}
    return Room(folder, steps, read_trace((folder / "trace").read_text("utf-8", "replace").splitlines()))


def test_nothing_left_the_room_and_no_name_was_looked_up(room: Room) -> None:
    assert room.traffic == Traffic(room.traffic.local)
    assert room.traffic.local >= 2  # the page and a search, over loopback
    nobody = (
        room.folder / "nobody"
    )  # nothing was stored to be sent later: all that is left is the model of languages
    (folder,) = {file.parent.relative_to(nobody) for file in nobody.rglob("*") if file.is_file()}
    assert folder.match(".cache/localsearch/languages-*")


def test_it_was_installed_with_python_alone(room: Room, bundles: Bundles) -> None:
    assert f"Installing {bundles.built['id']} into" in room.said("install")
    assert "model all-MiniLM-L6-v2" in room.said("install")
    assert room.said("install again").endswith("is installed already.\n")
    assert room.said("version") == "localsearch 0.1.0\n"


def test_everything_was_done_there(room: Room) -> None:
    outcomes = [json.loads(line) for line in room.said("rehearsal").splitlines()]
    assert outcomes == [
        {"step": "index", "ok": True, "said": "text and a picture"},
        {"step": "search", "ok": True, "said": "the text of the picture, too"},
        {"step": "serve", "ok": True, "said": "a search and the page over HTTP"},
        {"step": "mcp", "ok": True, "said": "a search over standard input"},
        {"step": "backup", "ok": True, "said": "and restored"},
    ]


@pytest.mark.parametrize("when", ["while packages were installed", "while the index was tried"])
def test_killed_the_old_one_still_works(room: Room, when: str) -> None:
    assert room.steps[f"killed {when}"]["code"] == -9
    assert room.said(f"version, killed {when}") == "localsearch 0.1.0\n"
    assert found(room.said(f"search, killed {when}")) == ["kiln.md"]


def found(answer: str) -> list[str]:
    return [Path(hit["path"]).name for hit in json.loads(answer)["results"]][:1]


def test_the_upgrade_goes_on_where_it_was_killed_and_keeps_the_index(room: Room, bundles: Bundles) -> None:
    said = room.said("upgrade")
    assert f"Installing {bundles.later.id} into" in said
    assert "packages" not in said  # they were installed before it was killed
    assert "backup of the index" in said
    assert room.said("version, upgraded") == "localsearch 0.1.1\n"
    assert found(room.said("search, upgraded")) == ["kiln.md"]
    assert found(room.said("search, picture")) == ["glaze.png"]


def test_and_back(room: Room, bundles: Bundles) -> None:
    assert f"{bundles.built['id']} is in use again." in room.said("rollback")
    assert room.said("version, back") == "localsearch 0.1.0\n"
    assert found(room.said("search, back")) == ["kiln.md"]
    assert not [path.name for path in (room.folder / "app").iterdir() if path.name.startswith(".scratch")]


def test_back_from_an_index_that_the_old_one_cannot_read(room: Room, bundles: Bundles) -> None:
    """As a later release would have migrated it. Not while the index is held, and forward again, and back."""
    home, install = room.folder / "home", [str(PYTHON), str(bundles.unpacked / "install.py")]

    def back() -> subprocess.CompletedProcess[str]:
        words = ["--to", str(room.folder / "app"), "--rollback"]
        return subprocess.run([*install, *words], capture_output=True, text=True, env=bare(room.folder))

    assert f"{bundles.later.id} is in use again." in back().stdout
    with closing(sqlite3.connect(home / "index.db")) as db:
        db.execute("INSERT INTO migrations (name, applied) VALUES ('9999_later', 0)")
        db.commit()
    with open(home / "owner.lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = back()
    assert done.returncode == 1
    assert "is in use" in done.stderr
    assert "Stop the server" in done.stderr
    assert room.run("--version").stdout == "localsearch 0.1.1\n"
    done = back()
    assert "the backup made before the upgrade is in its place" in done.stdout, done.stderr
    assert room.run("--version").stdout == "localsearch 0.1.0\n"
    assert found(room.run("--json", "search", "kiln").stdout) == ["kiln.md"]
    (aside,) = room.folder.glob("home.of-*")
    assert (aside / "index.db").exists()
    assert room.run("status").returncode == 0
    assert "settings" not in done.stdout


def test_the_wheel_of_an_installation_is_the_one_that_was_installed(room: Room, bundles: Bundles) -> None:
    """So that a bundle can be built where there is no checkout."""
    release = room.folder / "app" / "releases" / bundles.built["id"]
    python = release / "venv" / "bin" / "python"
    target = room.folder / "packed"
    target.mkdir()
    code = (
        "import sys; from pathlib import Path; from localsearch.bundle.own import own_wheel;"
        "from localsearch.bundle.target import Target; print(own_wheel(Target(sys.argv[2], '3.11'), Path(sys.argv[1]), None))"
    )

    def pack(platform: str) -> subprocess.CompletedProcess[str]:
        words = [str(python), "-I", "-c", code, str(target), platform]
        return subprocess.run(words, capture_output=True, text=True, env=bare(room.folder))

    done = pack(here().platform)
    assert done.returncode == 0, done.stderr
    packed = Path(done.stdout.strip())
    (original,) = (bundles.unpacked / "wheels").glob("localsearch-*.whl")
    assert packed.name == original.name
    assert contents(packed) == contents(original)
    assert "is installed for" in pack("linux-riscv64").stderr
    (changed,) = (release / "venv").glob("lib/*/site-packages/localsearch/days.py")
    text = changed.read_text()
    changed.write_text(text + "\n")
    assert "days.py is not as it was installed" in pack(here().platform).stderr
    changed.write_text(text)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist() if not name.endswith("/RECORD")}


def test_a_bundle_says_what_is_in_it(bundles: Bundles) -> None:
    """The SBOM is valid CycloneDX, and names what the requirements, the licences and the manifest do."""
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from cyclonedx.validation import make_schemabased_validator

    manifest = verify(bundles.first, bundles.built["sha256"])
    assert bundles.built["sha256"] == sha256(bundles.first)
    text = (bundles.unpacked / "sbom.cdx.json").read_text()
    assert make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6).validate_str(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    pins = dict(
        re.findall(r"^(\S+)==(\S+) ", (bundles.unpacked / "requirements.txt").read_text(), re.MULTILINE)
    )
    assert {"numpy", "onnxruntime", "rapidocr", "mcp", "localsearch"} < set(pins)
    assert set(parts) == set(pins) - {"localsearch"} | {"pip", "all-MiniLM-L6-v2"}
    assert all(parts[name]["version"] == version for name, version in pins.items() if name != "localsearch")
    hashes = {one["content"] for part in parts.values() for one in part["hashes"]}
    files = {name: pin.sha256 for name, pin in manifest.files.items()}
    others = {
        digest for name, digest in files.items() if name.endswith(".whl") and "/localsearch-" not in name
    }
    assert hashes == others | {files["models/all-MiniLM-L6-v2/model.safetensors"]}
    listed = (bundles.unpacked / "licences.md").read_text()
    for name, version in pins.items():
        assert f"| {name} | {version} | " in listed
    assert "| not declared |" not in listed


def test_no_path_of_the_building_machine_is_in_it(bundles: Bundles, model_folder: Path) -> None:
    named = [str(CHECKOUT), str(bundles.folder), str(model_folder), str(Path.home()) + "/", sys.prefix]
    (own,) = (bundles.unpacked / "wheels").glob("localsearch-*.whl")
    texts = {
        path.name: path.read_bytes()
        for path in bundles.unpacked.rglob("*")
        if path.suffix != ".whl" and path.is_file()
    }
    assert not [
        (name, path)
        for name, data in (texts | contents(own)).items()
        for path in named
        if path.encode() in data
    ]
    with tarfile.open(bundles.first) as tar:
        assert {member.name.split("/")[0] for member in tar} == {bundles.unpacked.name}


def test_it_fits_the_machine_that_it_names(bundles: Bundles, tmp_path: Path) -> None:
    from localsearch.bundle.installer.manifest import InstallError, read_manifest
    from localsearch.bundle.installer.steps import _check_machine

    told = json.loads((bundles.unpacked / "manifest.json").read_bytes())
    _check_machine(read_manifest(json.dumps(told).encode()))
    for change, word in (({"platform": "linux-riscv64"}, "riscv64"), ({"python": "3.99"}, "Python 3.99")):
        with pytest.raises(InstallError, match=word) as caught:
            _check_machine(read_manifest(json.dumps(told | change).encode()))
        assert "bundle build" in caught.value.hint


def test_a_folder_with_other_things_is_left_alone(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    install = [str(PYTHON), str(bundles.unpacked / "install.py"), "--to", str(tmp_path)]
    done = subprocess.run(install, capture_output=True, text=True, env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "holds something else already" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"letters.txt", ".lock"}
    assert io.StringIO(done.stderr).readline().startswith("error: ")
