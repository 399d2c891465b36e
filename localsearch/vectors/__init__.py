"""Find the nearest vectors by chunk id: approximately where that is faster, exactly where it is not.

Enter through VectorIndex. `derived` and `engine` open and fill it; `search` asks it. The other modules are its own.
"""

from localsearch.vectors.base import Fetch
from localsearch.vectors.files import Generation
from localsearch.vectors.index import VectorIndex
from localsearch.vectors.tuning import SAMPLE

__all__ = ["SAMPLE", "Fetch", "Generation", "VectorIndex"]
