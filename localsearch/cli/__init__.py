"""The command line of `python -m localsearch`, also installed as `localsearch`.

parser.py    what can be typed
console.py   what is printed: results on stdout; progress and messages on stderr
commands.py  indexing, serving and looking at the state
reading.py   searching and reading; formats.py, in forms for other programs
upkeep.py    models, versions, backup and repair
bundle.py    archives for machines without a network
mcp.py       serving the Model Context Protocol
planning.py  what an index of a given size needs
"""

from localsearch.cli.main import command, main

__all__ = ["command", "main"]
