"""A root that is being indexed, held open: its files are opened below it and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from localsearch.errors import RootUnreadable
from localsearch.platform.beneath import open_folder, true_path
from localsearch.scan import display, is_within, open_below, path_of


class OpenRoot:
    """A folder, or the folder of the one file that was named. Links on the way to it are followed, once, here.

    Raises RootUnreadable when it is missing, or lies in none of the folders that are allowed.
    """

    def __init__(self, path: Path, allowed: Sequence[Path] = (), true: str = "") -> None:
        """`true` is where it must lead, as the ledger shows paths; empty where that is not known."""
        raw = os.fsencode(path)
        real = os.path.realpath(raw)
        self.is_folder = os.path.isdir(real)
        self._base = raw if self.is_folder else os.path.dirname(real)
        try:
            self._folder = open_folder(self._base)
        except OSError as error:
            raise self._unreadable(raw, f"cannot be read: {error.strerror}") from error
        folder = true_path(self._folder)
        self._true = folder if self.is_folder else os.path.join(folder, os.path.basename(real))
        tops = {os.path.realpath(os.fsencode(top.expanduser())) for top in allowed}
        if tops and not is_within(self._true, tops):
            os.close(self._folder)
            raise self._unreadable(raw, "leads out of the folders that may be indexed")
        if true and self.true != true:
            os.close(self._folder)
            raise RootUnreadable(
                f"{display(raw)} leads to {self.true} now, not to {true} as when it was indexed",
                hint="Index it again yourself if that is meant; nobody else's change makes it be read.",
                path=display(raw),
            )

    @property
    def true(self) -> str:
        """Where it is, links resolved, as the ledger shows paths."""
        return display(self._true)

    @property
    def folder(self) -> int | None:
        """The descriptor of a root that is a folder."""
        return self._folder if self.is_folder else None

    def open(self, raw: bytes) -> int:
        """Open a file that the scan found. Raises FileNotFoundError and ExtractionError as `content_hash` does."""
        if not self.is_folder and raw != self._true:
            raise FileNotFoundError(raw)
        return open_below(self._folder, raw[len(self._base) :].lstrip(b"/"), path_of(raw))

    def __enter__(self) -> OpenRoot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._folder)

    def _unreadable(self, raw: bytes, what: str) -> RootUnreadable:
        return RootUnreadable(
            f"{display(raw)} {what}",
            hint="Is its disk mounted, and may you read it? What is indexed from it stays; `purge` removes it.",
            path=display(raw),
        )
