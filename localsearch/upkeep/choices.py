"""Changing a few settings for good, while the rest of settings.toml stays as it was written.

Only what is listed here can be changed: what a person may want to choose and nobody can be harmed by.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import tomlkit
from tomlkit.exceptions import TOMLKitError

from localsearch.errors import SettingsError
from localsearch.platform.disk import write_errors, write_file
from localsearch.settings import Settings, load

Effect = Literal["now", "start"]
CHOICES: Mapping[str, Effect] = {
    "extract.ocr": "now",
    "extract.ocr_engine": "now",
    "extract.memory_mb": "start",
    "model.name": "now",
    "model.languages": "now",
}
"""Settings that can be changed, and from when the change counts: from now on, or from the next start of the server."""
_LOCK = threading.Lock()


def change(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Write these settings into HOME/settings.toml and return all settings with them; a None goes back to the default.

    Comments, order and every other line stay. The file is replaced as a whole or not at all, and only by one that can
    be read again. Raises SettingsError for a setting that is none of CHOICES, or a value that it cannot have, and where
    the file is not valid now.
    """
    for name in values:
        if name not in CHOICES:
            raise SettingsError(f"{name} is not changed here.", hint="Change it in settings.toml.")
    with _LOCK:
        file = settings.home / "settings.toml"
        load(settings.home)  # what cannot be read now must not be written over
        before = file.read_bytes() if file.exists() else None
        text = _changed(before.decode("utf-8") if before else "", values)
        with write_errors(settings.home):
            write_file(file, text.encode("utf-8"))
            try:
                taken = load(settings.home, offline=settings.offline or None)
            except SettingsError:
                file.unlink() if before is None else write_file(file, before)
                raise
    return _with(settings, taken)


def _changed(text: str, values: Mapping[str, Any]) -> str:
    """The file with these values in it, in their tables."""
    try:
        document = tomlkit.parse(text)
        for name, value in values.items():
            group, _, key = name.partition(".")
            if value is None:
                if group in document:
                    document[group].pop(key, None)
                continue
            if group not in document:
                document[group] = tomlkit.table()
            document[group][key] = value
    except TOMLKitError as error:  # pragma: no cover - tomllib has read it before
        raise SettingsError(f"settings.toml cannot be changed: {error}", hint="Change it by hand.") from error
    return tomlkit.dumps(document)


def _with(settings: Settings, taken: Settings) -> Settings:
    """The settings in force with those that can be changed as they are now: flags of the command line stay."""
    return replace(
        settings,
        extract=replace(
            settings.extract,
            ocr=taken.extract.ocr,
            ocr_engine=taken.extract.ocr_engine,
            memory_mb=taken.extract.memory_mb,
        ),
        model=replace(settings.model, name=taken.model.name, languages=taken.model.languages),
    )
