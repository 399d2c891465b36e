"""The statistics of letters by which a language is told: py3langid's, unpacked once for this user and mapped since.

To unpack them takes two thirds of a second and 60 MB of memory, in each process; to map them, a hundredth, and the
memory is shared. What is unpacked lies in the user's folder for caches, 53 MB, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import unicodedata
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from py3langid.langid import LanguageIdentifier

TOLD = (
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "nn", "fi", "hu", "ro", "pl", "cs", "sk",
    "sl", "hr", "bs", "sq", "tr", "ca", "id", "ms", "et", "lt", "lv", "vi", "ru", "uk", "bg", "sr", "mk",
    "be", "el", "ar", "fa", "ur", "ps", "ku", "he", "is", "eu", "gl", "oc", "ga", "cy", "br", "af", "sw",
    "tl", "la", "eo", "mt", "az", "uz", "kk", "ky", "tg", "tt", "mn", "hi", "mr", "ne",
)  # fmt: skip
"""Languages that the model is asked about: those with a state, a literature or a newspaper of their own in use."""
_FORMAT = "1"
_PARTS = ("weights", "priors", "moves", "rows", "features")
_SURE = 0.3
"""Probability below which the model's answer is no more than a guess."""
_SAME_AS = {"nn": "no", "nb": "no", "bs": "hr"}
_LOADING = threading.Lock()

Parts = dict[str, "NDArray[Any]"]
"""Of each feature and language a weight, float16 (features, languages); a logarithm of each language's share; of each
row of the automaton 256 next states, in one array; the row of each state; the feature that it ends, or -1."""


def by_letters(sample: str) -> str:
    """The language by py3langid's model, '' where it is not sure or the model cannot be read just now."""
    try:
        model = _model()
    except OSError:  # no file descriptor is left, say: the next text asks again
        return ""
    language, sure = model.classify(unicodedata.normalize("NFC", sample))
    return _SAME_AS.get(language, language) if sure >= _SURE and len(language) == 2 else ""


def prepare() -> None:
    """Load the model in a thread of its own, for one who will soon have many texts and has something to wait for."""
    if not _loaded.cache_info().currsize:
        threading.Thread(target=_prepared, name="localsearch-languages", daemon=True).start()


def _prepared() -> None:
    with suppress(OSError):  # the first text that needs it asks again
        _model()


def _model() -> LanguageIdentifier:
    with _LOADING:
        return _loaded()


@cache
def _loaded() -> LanguageIdentifier:
    from py3langid.langid import MODEL_DIR, MODEL_FILE

    packed = MODEL_DIR / MODEL_FILE
    folder = _place(packed)
    parts = mapped(folder)
    if parts is None:
        parts = unpacked(packed)
        with suppress(OSError):  # a disk that is full or not to be written to: unpacked again next time
            keep(parts, folder)
    return identifier(parts)


def _place(packed: Path) -> Path:
    """Where this model is kept unpacked: another model, and other languages, have another name."""
    import platformdirs

    name = hashlib.blake2b(
        packed.read_bytes() + " ".join((_FORMAT, *TOLD)).encode(), digest_size=8
    ).hexdigest()
    return platformdirs.user_cache_path("localsearch") / f"languages-{name}"


def unpacked(packed: Path) -> Parts:
    """The parts of a model of py3langid, for the languages that are TOLD. Raises OSError."""
    import numpy as np
    from py3langid.modelio import load_model

    weights, priors, languages, moves, rows, features = load_model(packed)
    told = [at for at, language in enumerate(languages) if language in set(TOLD)]
    return {
        "weights": np.ascontiguousarray(weights[:, told]),
        "priors": priors[told],
        "languages": np.array([languages[at] for at in told]),
        "moves": np.array(moves, np.uint32),
        "rows": np.array(rows, np.uint32),
        "features": np.array(features, np.int32),
    }


def keep(parts: Parts, folder: Path) -> None:
    """Write the parts into a folder, whole or not at all. Raises OSError."""
    import numpy as np

    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".languages-", dir=folder.parent))
    try:
        for name, part in parts.items():
            with open(partial / f"{name}.npy", "wb") as file:
                np.save(file, part, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)  # what is there is not whole
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def mapped(folder: Path) -> Parts | None:
    """The parts in a folder, mapped; None where they are not there, not whole, or would lead out of one another."""
    import numpy as np

    try:
        parts = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in (*_PARTS, "languages")
        }
    except (OSError, ValueError, EOFError):
        return None
    return parts if _fits(parts) else None


def _fits(parts: Parts) -> bool:
    """Whether each number leads to what is there. A number that changed on the disk costs a language, no crash."""
    weights, priors, moves, rows, features = (parts[name] for name in _PARTS)
    languages = len(parts["languages"])
    return (
        weights.ndim == 2
        and weights.shape[1] == languages == len(priors)
        and len(features) == len(rows) > int(moves.max())
        and len(moves) == 256 * (int(rows.max()) + 1)
        and len(weights) > int(features.max())
    )


def identifier(parts: Parts) -> LanguageIdentifier:
    """The model of py3langid that these parts are of."""
    import numpy as np
    from py3langid.langid import LanguageIdentifier

    moves: Any = parts["moves"]  # a view gives numbers of Python, and at half the price
    return LanguageIdentifier(
        np.asarray(parts["weights"]),
        np.asarray(parts["priors"]),
        parts["languages"].tolist(),
        memoryview(moves),
        parts["features"].tolist(),
        norm_probs=True,
        tk_row=parts["rows"].tolist(),
    )
