"""The index as a server of the Model Context Protocol, for editors and assistants: reading only.

tools.py        what can be called: arguments, and what they give
overview.py     what the index holds, and the instructions made from it
text.py         answers as text, in which what documents say is marked as data
service.py      one call: who may see what, in which thread, and the line in the audit log
protocol.py     the official SDK's server over all that; the only modules that import it are this and stdio.py
stdio.py        `localsearch mcp`

The HTTP server mounts the same at /mcp. Nothing here is needed without the extra [mcp].
"""
