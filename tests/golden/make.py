"""Write the golden vectors of the default model, as sentence-transformers computes them.

python tests/golden/make.py FOLDER     a sentence-transformers folder of all-MiniLM-L6-v2
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from texts import TEXTS

TARGET = Path(__file__).with_name("all-MiniLM-L6-v2.npy")


def main(folder: str) -> None:
    from sentence_transformers import SentenceTransformer

    np.save(TARGET, SentenceTransformer(folder, device="cpu").encode(TEXTS, batch_size=1).astype(np.float32))


if __name__ == "__main__":
    main(sys.argv[1])
