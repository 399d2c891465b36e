"""Report what changes on disk: soon, completely, each burst as one batch.

Enter through Watcher or `watch`. The modules for one system are its own.
"""

from localsearch.watch.pending import Changes
from localsearch.watch.watcher import Backend, Watcher, watch

__all__ = ["Backend", "Changes", "Watcher", "watch"]
