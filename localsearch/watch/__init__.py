"""What changes on disk, told soon, completely and in few words."""

from localsearch.watch.pending import Changes
from localsearch.watch.watcher import Backend, Watcher, watch

__all__ = ["Backend", "Changes", "Watcher", "watch"]
