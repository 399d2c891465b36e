"""List, install, verify and remove models, and open them. The door of this folder.

A model is built beside its place and renamed into it: none is ever half installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from localsearch.errors import (
    ConflictError,
    ModelError,
    ModelFormatError,
    ModelMissingError,
    OfflineError,
    UsageError,
)
from localsearch.models.cards import Card, all_cards, find_card
from localsearch.models.fetch import Fetcher
from localsearch.models.files import FULL_HINT, publish, staging, storage_errors
from localsearch.models.folder import check_name, model_files, read_folder
from localsearch.models.lock import Lock
from localsearch.models.manifest import MANIFEST, Manifest, pins
from localsearch.models.packed import packed_file
from localsearch.models.runner import Tally
from localsearch.platform.cores import cores
from localsearch.platform.disk import disk_full, free_bytes
from localsearch.platform.processor import safe_int8
from localsearch.settings import Settings
from localsearch.types import Cancelled, Report, never, no_report

if TYPE_CHECKING:
    from localsearch.models.encoder import OnnxEncoder
    from localsearch.models.reranker import CrossEncoder

LOCK = "models.lock"
_KINDS = {"encoder": "an embedding model", "reranker": "a re-ranking model"}


class ModelStore:
    """The models of `settings.models`: one folder each, with model.json naming every file and its SHA-256.

    `tally` is what all embedding models loaded from here have done.
    """

    def __init__(self, settings: Settings, cards: Sequence[Card] | None = None) -> None:
        """The cards are those that come with localsearch, unless others are given."""
        self.settings = settings
        self.folder = settings.models
        self._cards = tuple(all_cards() if cards is None else cards)
        self.tally = Tally()
        self._fetcher = Fetcher(settings, Lock(self.folder / LOCK))

    def cards(self) -> list[Card]:
        """Every known card by name, and the card of every model imported by hand."""
        known = {card.name: card for card in self._cards}
        for path in sorted(self.folder.glob(f"*/{MANIFEST}")):
            if path.parent.name not in known:
                known[path.parent.name] = _card_of(path.parent)
        return list(known.values())

    def installed(self, name: str) -> bool:
        """Whether the model is in the folder; `verify` says whether it is intact."""
        return (self.folder / name / MANIFEST).is_file()

    def installed_at(self, name: str) -> float:
        """When the model was put in the folder, in seconds since 1970; 0 for one that is not there."""
        try:
            return (self.folder / name / MANIFEST).stat().st_mtime
        except OSError:
            return 0.0

    def pull(self, name: str, report: Report = no_report, cancelled: Cancelled = never) -> Card:
        """Fetch, verify, convert and install a model by its card; return at once when it is here and whole.

        Raises NotFoundError, OfflineError, ModelFetchError, ModelDamagedError (wrong hash), DiskFullError,
        StorageError, CancelledError; whatever happens, no half of a model stays.
        """
        card = find_card(name, self._cards)
        if self._whole(card.name):
            return card
        if self.settings.offline:
            raise OfflineError(
                f"the model {card.name} is not in {self.folder}, and no connection may be made while offline",
                hint="Allow one download, or carry its folder in by hand: localsearch models import DIR",
                model=card.name,
            )
        _check_convertible(card)
        with staging(self.folder) as folder:
            source = self._fetcher.fetch(card, folder, report, cancelled)
            installed = self._install(card, folder, folder, str(source))
        self._fetcher.forget(card)
        return installed

    def import_folder(self, path: Path, name: str | None = None, report: Report = no_report) -> Card:
        """Install a sentence-transformers folder carried in by hand, under its own or the given name.

        A folder named as a card must be that model, file by file. Raises ModelFormatError (no usable model),
        ModelDamagedError (not the card's), ConflictError (the name is taken), UsageError (a name that is none).
        """
        path = Path(os.path.expanduser(path)).absolute()
        name = check_name(name or path.name)
        if self.installed(name):
            raise ConflictError(
                f"a model named {name} is installed already",
                hint=f"Give it another name with --name, or first: localsearch models remove {name}",
            )
        return self._import(path, name)

    def verify(self, name: str) -> Card:
        """Hash every file of an installed model; ModelDamagedError names the first that differs."""
        manifest = Manifest.read(self._at(name))
        manifest.check(self._at(name))
        return manifest.card

    def remove(self, name: str) -> None:
        """Delete a model from the folder; its learnt hashes stay. ModelMissingError when it is not there."""
        folder = self._at(name)
        if not folder.is_dir():
            raise ModelMissingError(
                f"the model {name} is not in {self.folder}", hint="Run: localsearch models list"
            )
        with storage_errors(self.folder):
            (folder / MANIFEST).unlink(missing_ok=True)  # first: what is left is no model
            shutil.rmtree(folder)

    def precision(self) -> str:
        """The precision in force: `auto` is int8."""
        wanted = self.settings.model.precision
        return wanted if wanted != "auto" else "int8"

    def encoder(self, name: str | None = None, precision: str | None = None) -> OnnxEncoder:
        """Load an installed encoder (default: the settings'). Raises ModelMissingError, ModelDamagedError."""
        from localsearch.models.encoder import OnnxEncoder

        name = name or self.settings.model.name
        chosen = self._usable(name, "encoder", precision)
        return OnnxEncoder.open(self._at(name), chosen, self._threads(), self.tally)

    def reranker(self, name: str | None = None, precision: str | None = None) -> CrossEncoder:
        """Load an installed cross-encoder (default: the settings'). Raises ModelMissingError, ModelDamagedError."""
        from localsearch.models.reranker import CrossEncoder

        name = name or self.settings.model.reranker
        if not name:
            raise UsageError("no re-ranking model is set", hint="Set model.reranker, or name one.")
        return CrossEncoder.open(self._at(name), self._usable(name, "reranker", precision), self._threads())

    def _usable(self, name: str, kind: str, precision: str | None) -> str:
        """The precision to load; errors for a model of the other kind, or 8-bit weights unsafe on this processor."""
        manifest = Manifest.read(self._at(name))
        if manifest.card.kind != kind:
            raise ModelFormatError(
                f"{name} is {_KINDS[manifest.card.kind]}, not {_KINDS[kind]}",
                hint="Run: localsearch models list",
            )
        chosen = precision or self.precision()
        if chosen == "int8" and not manifest.exact(self._at(name)) and not safe_int8():
            raise ModelFormatError(
                f"the 8-bit weights of {name} were made for another kind of processor and would be wrong on this one",
                hint=f"Set model.precision to fp32, or run: localsearch models remove {name}, and pull it again here.",
            )
        return chosen

    def _at(self, name: str) -> Path:
        return self.folder / check_name(name)

    def _threads(self) -> int:
        return self.settings.model.threads or cores()

    def _whole(self, name: str) -> bool:
        try:
            Manifest.read(self._at(name)).check(self._at(name), contents=False)
        except ModelError:
            return False
        return True

    def _import(self, path: Path, name: str) -> Card:
        card = next((card for card in self._cards if card.name == name), None)
        if card is not None and packed_file(path):
            files = {file: path / file for file in card.files}
        else:
            files = model_files(path)
        card = card or read_folder(path, name)
        with staging(self.folder) as folder:
            with storage_errors(self.folder):
                if sum(source.stat().st_size for source in files.values()) > free_bytes(folder):
                    raise disk_full(self.folder, FULL_HINT)
                for file, source in files.items():
                    (folder / file).parent.mkdir(exist_ok=True)
                    shutil.copyfile(source, folder / file)
            self._fetcher.check(card, folder)
            return self._install(card, folder, path, "a folder carried in by hand")

    def _install(self, card: Card, folder: Path, origin: Path, source: str) -> Card:
        """Convert the files in `folder` and put it in place; `origin` has the model as it came, for an export."""
        with storage_errors(self.folder):
            unknown = self._fetcher.unknown(card, folder)
            built = _built(card, folder, origin)
            files, packed = pins(folder), packed_file(folder)
            if packed:  # what it held is in the other files now
                del files[packed.name]
            Manifest(built, files, True, source).write(folder)
            self._fetcher.learn(card, unknown)
            if packed:
                packed.unlink()
        publish(folder, self._at(card.name))
        return built


def _card_of(folder: Path) -> Card:
    """The card of an installed model; a damaged one is listed by its name."""
    try:
        return Manifest.read(folder).card
    except ModelError as error:
        return Card(folder.name, summary=error.message)


def convertible(card: Card) -> bool:
    """Whether the model can be made from its files here: a card that asks for the extra [export] needs it."""
    from localsearch.models import export

    return not card.export or export.available()


def _check_convertible(card: Card) -> None:
    if not convertible(card):
        raise ModelFormatError(
            f"{card.name} cannot be converted without torch",
            hint='Install the extra once: pip install "localsearch[export]"',
        )


def _built(card: Card, folder: Path, origin: Path) -> Card:
    from localsearch.models import export
    from localsearch.models.builder import build

    try:
        return build(card, folder)
    except ModelFormatError as error:
        if not (error.data.get("exportable") and export.available()):
            raise
    return export.export(card, origin, folder)
