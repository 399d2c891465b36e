"""Find the nearest vectors by chunk id: approximately where that is faster, exactly where it is not.

Enter through VectorIndex, which `derived` fills and `search` asks; `engine` chooses who implements it. The other
modules are their own.
"""

from localsearch.vectors.base import Fetch
from localsearch.vectors.files import Generation
from localsearch.vectors.index import FaissIndex
from localsearch.vectors.milvus_index import MilvusIndex
from localsearch.vectors.milvus_server import MilvusServer
from localsearch.vectors.protocol import Allowed, GuardCounts, Masked, Source, VectorIndex, VectorState
from localsearch.vectors.tuning import SAMPLE

__all__ = [
    "SAMPLE",
    "Allowed",
    "FaissIndex",
    "Fetch",
    "Generation",
    "GuardCounts",
    "Masked",
    "MilvusIndex",
    "MilvusServer",
    "Source",
    "VectorIndex",
    "VectorState",
]
