"""What a filter selects, carried to where it is used: there it becomes a mask, an expression or a check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from localsearch.derived import Mask
from localsearch.derived.catalog import Catalog
from localsearch.filters import Equals, Filter, all_of, to_expression
from localsearch.types import Ids


@dataclass(frozen=True, eq=False)
class Selection:
    """The chunks of `documents` (ascending); `chosen` says which of them may be shown where the filter asks that of
    their texts too. `filter` and `collection` are what selected them."""

    catalog: Catalog
    documents_selected: Ids
    filter: Filter | None = None
    collection: str | None = None
    chosen: Mask | None = None

    @cached_property
    def mask(self) -> Mask:
        """Which chunks may be found, made when an index in this process asks for it."""
        return self.catalog.mask(self.documents_selected) if self.chosen is None else self.chosen

    @cached_property
    def expression(self) -> str:
        """The filter for an engine, as far as its fields tell."""
        named = Equals("collection", (self.collection,)) if self.collection is not None else None
        return to_expression(all_of(part for part in (self.filter, named) if part is not None))

    def documents(self, most: int) -> Ids | None:
        """The documents selected, where they are `most` or fewer."""
        return self.documents_selected if len(self.documents_selected) <= most else None

    def holds(self, ids: Ids) -> Mask:
        """Whether each of these chunks is of a document that is selected, and chosen."""
        owners = self.catalog.documents_of(ids)
        if self.chosen is not None:
            inside = ids < len(self.chosen)
            return inside & self.chosen[np.where(inside, ids, 0)] & (owners > 0)
        if not len(self.documents_selected):
            return np.zeros(len(ids), np.bool_)
        at = np.minimum(np.searchsorted(self.documents_selected, owners), len(self.documents_selected) - 1)
        found: Mask = (self.documents_selected[at] == owners) & (owners > 0)
        return found
