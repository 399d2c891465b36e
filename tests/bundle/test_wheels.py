"""Which wheels another machine needs, and what a bundle is not built of: with small wheels of their own."""

from __future__ import annotations

import itertools
import zipfile
from email.message import Message
from pathlib import Path

import pytest

pytest.importorskip("packaging", reason="needs the extra [bundle]")
pytest.importorskip("cyclonedx", reason="needs the extra [bundle]")

from packaging.metadata import Metadata
from packaging.requirements import Requirement

from localsearch.bundle.build import Contents, build
from localsearch.bundle.inventory import UNKNOWN, licence, licences, sbom
from localsearch.bundle.own import own_wheel
from localsearch.bundle.target import Target, here
from localsearch.bundle.wheels import Wheel, _check_extras, closure, read_wheel
from localsearch.cli import main
from localsearch.errors import SettingsError, UsageError
from localsearch.settings import Settings

ARM = Target("linux-aarch64", "3.12")


def wheel(
    folder: Path, name: str, version: str, *needs: str, extras: tuple[str, ...] = (), **more: str
) -> Wheel:
    """A wheel with metadata and a licence text, and nothing to import."""
    told = Message()
    told["Metadata-Version"], told["Name"], told["Version"] = "2.4", name, version
    for field, values in (("Requires-Dist", needs), ("Provides-Extra", extras)):
        for value in values:
            told[field] = value
    for field, value in more.items():
        told[field.replace("_", "-")] = value
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{name}-{version}.dist-info/METADATA", told.as_bytes())
        packed.writestr(f"{name}-{version}.dist-info/licenses/LICENSE", f"The licence of {name}.")
    return read_wheel(path)


def test_markers_are_those_of_the_other_machine(tmp_path: Path) -> None:
    wheels = [
        wheel(
            tmp_path,
            "localsearch",
            "1.0",
            "always>=1",
            'arm; platform_machine == "aarch64"',
            'intel; platform_machine == "x86_64"',
            'old; python_version < "3.12"',
            'windows; sys_platform == "win32"',
            'scans[fast]>=2; extra == "ocr"',
            'films; extra == "media"',
            extras=("ocr", "media"),
        ),
        wheel(tmp_path, "always", "1.4"),
        wheel(tmp_path, "arm", "0.1"),
        wheel(tmp_path, "scans", "2.0", 'deep; extra == "fast"', 'slow; extra == "slow"'),
        wheel(tmp_path, "deep", "3.0", "localsearch"),
        wheel(tmp_path, "unrelated", "1.0"),
    ]
    needed, missing = closure(wheels, [Requirement("localsearch[ocr]")], ARM)
    assert missing == []
    assert [(one.name, one.needs) for one in needed] == [
        ("always", ()),
        ("arm", ()),
        ("deep", ("localsearch",)),
        ("localsearch", ("always", "arm", "scans")),
        ("scans", ("deep",)),
    ]
    _, missing = closure(wheels, [Requirement("localsearch[media]")], Target("linux-x86_64", "3.11"))
    assert sorted(missing) == ["films", "intel", "old"]
    _, missing = closure(wheels, [Requirement("always>=2")], ARM)
    assert missing == ["always>=2"]


def test_what_pip_is_told_of_the_other_machine() -> None:
    options = ARM.options()
    platforms = [value for word, value in itertools.pairwise(options) if word == "--platform"]
    assert platforms[0] == "manylinux_2_28_aarch64"
    assert "manylinux2014_aarch64" in platforms
    assert not any("x86_64" in one for one in platforms)
    assert options[options.index("--python-version") + 1] == "3.12"
    assert "cp312" in options


def test_an_extra_that_there_is_not_is_refused(tmp_path: Path) -> None:
    own = wheel(tmp_path, "localsearch", "1.0", extras=("ocr", "llama-index"))
    _check_extras(own.file, ["ocr", "llama_index"])
    with pytest.raises(UsageError, match="no extra orc") as caught:
        _check_extras(own.file, ["ocr", "orc"])
    assert caught.value.hint == "There are: llama-index, ocr"


def test_a_file_that_is_no_wheel_of_localsearch_is_refused(tmp_path: Path) -> None:
    for given in (tmp_path / "none.whl", wheel(tmp_path, "other", "1.0").file):
        with pytest.raises(UsageError, match="no wheel of localsearch"):
            own_wheel(ARM, tmp_path, given)


LICENCES = [
    ({"License_Expression": "MIT OR Apache-2.0", "License": "old words"}, "MIT OR Apache-2.0"),
    ({"License": "BSD"}, "BSD"),
    ({"License": "a\ntext", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT License"),
    ({"Classifier": "License :: OSI Approved"}, UNKNOWN),
    ({}, UNKNOWN),
]


@pytest.mark.parametrize(("told", "expected"), LICENCES)
def test_the_licence_that_is_declared(told: dict[str, str], expected: str) -> None:
    lines = "".join(
        f"{name.replace('_', '-')}: {value.replace(chr(10), chr(10) + ' ')}\n" for name, value in told.items()
    )
    text = f"Metadata-Version: 2.4\nName: x\nVersion: 1\n{lines}"
    assert licence(Metadata.from_email(text, validate=False)) == expected


@pytest.mark.filterwarnings("ignore:The Component this BOM is describing")
def test_the_lists_are_the_same_each_time(tmp_path: Path) -> None:
    wheels = [
        wheel(tmp_path, "localsearch", "1.0", "some_thing>=2", License_Expression="Apache-2.0"),
        wheel(tmp_path, "some_thing", "2.0", License="BSD | more"),
    ]
    assert sbom(wheels, [], 1_700_000_000) == sbom(wheels, [], 1_700_000_000)
    assert '"timestamp": "2023-11-14T22:13:20+00:00"' in sbom(wheels, [], 1_700_000_000)
    text = licences(wheels, [])
    assert "| some-thing | 2.0 | BSD \\| more |" in text
    assert "## some-thing: licenses/LICENSE\n\n    The licence of some_thing.\n" in text


def settings_of(tmp_path: Path, text: str) -> Path:
    (tmp_path / "settings.toml").write_text(text)
    return tmp_path / "settings.toml"


def test_settings_that_name_paths_of_this_machine_stay_here(tmp_path: Path) -> None:
    file = settings_of(
        tmp_path, 'models = "/home/me/models"\n[server]\nindex_roots = ["~/notes"]\nport = 1\n'
    )
    own = Contents(here(), (), settings=file, own_settings=True)
    with pytest.raises(UsageError, match=r"/home/me/models, ~/notes") as caught:
        build(tmp_path / "room.tar", own, Settings(home=tmp_path, models=tmp_path))
    assert "--settings FILE" in caught.value.hint
    broken = Contents(here(), (), settings=settings_of(tmp_path, "[server]\nprot = 1\n"))
    with pytest.raises(SettingsError, match="prot"):
        build(tmp_path / "room.tar", broken, Settings(home=tmp_path, models=tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"settings.toml"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "{there}"], "exists.\n  Choose another name"),
        (["build", "{none}/room.tar"], "is no folder.\n  Make it first"),
        (["verify", "{none}"], "There is no file"),
        (["install", "{none}", "--to", "{none}"], "There is no file"),
        (["install", "--to", "{none}"], "No bundle is named.\n  Name an archive, or go back with --rollback"),
        (["install", "--to", "{none}", "--rollback"], "There is no folder"),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (tmp_path / "there").write_text("x")
    names = {"there": str(tmp_path / "there"), "none": str(tmp_path / "none")}
    assert main(["bundle", *(word.format(**names) for word in words)]) == 2
    assert said in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"there"}


def test_going_back_needs_something_to_go_back_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "install", "--to", str(tmp_path), "--rollback"]) == 1
    assert "no release to go back to" in capsys.readouterr().err
