"""Readers by copies: snapshots of an index, where they lie, and how a reader takes them.

`capture` takes a consistent state of a home folder, `ship` publishes it, `sources` reads what was published, `intake`
builds a folder of it, `replica` says which states a reader may take and keeps the one that answers.
"""
