"""What is derived from SQLite and kept in step with it: chunk catalog, word index, vectors, calibration, usage.

`state` is changed by replaying the log of changes alone. `indexing`, `search` and `upkeep` read and advance it.
"""

from localsearch.derived.catalog import Catalog, Mask
from localsearch.derived.state import Derived, LazyModel, Model, Semantic

__all__ = ["Catalog", "Derived", "LazyModel", "Mask", "Model", "Semantic"]
