"""Reading an index in a folder that cannot be written: Tantivy opens none without making its lock files beside it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


class Borrowed:
    """A folder of links to the files of another one, where locks can be made; removed when it is closed."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._folder = tempfile.TemporaryDirectory(prefix="localsearch-words-")
        self.folder = Path(self._folder.name)
        self.renew()

    def renew(self) -> None:
        """Link what is new in the source."""
        for file in self._source.iterdir():
            if not file.name.endswith(".lock"):
                with suppress(FileExistsError):
                    (self.folder / file.name).symlink_to(file.absolute())

    def close(self) -> None:
        self._folder.cleanup()


def borrow(folder: Path) -> Borrowed | None:
    """Links to this folder's files when it cannot be written; None when it can."""
    return None if os.access(folder, os.W_OK) else Borrowed(folder)
