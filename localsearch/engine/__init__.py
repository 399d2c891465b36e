"""An open index: the only place that chooses implementations and wires them.

The command line, the server and programs hold an `Engine`; nothing below this folder imports it.
"""

from localsearch.engine.engine import Engine, Status

__all__ = ["Engine", "Status"]
