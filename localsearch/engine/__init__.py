"""An open index: the only place that chooses implementations and wires them.

The command line, the server and programs hold an `Engine`; nothing below this folder imports it.
"""

from localsearch.engine.engine import Engine
from localsearch.engine.folders import Folder, Folders, Forgotten
from localsearch.engine.names import named_path
from localsearch.engine.parts import part_of
from localsearch.engine.status import Status

__all__ = ["Engine", "Folder", "Folders", "Forgotten", "Status", "named_path", "part_of"]
