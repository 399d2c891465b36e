"""A server of several processes: one writes and answers, the others read and answer; docs/decisions/workers.md.

`supervisor` starts and replaces them, `process` is what each one runs, `private` answers the others in the one that
writes, `reporting` is the background work of those that read. What they share is in `localsearch.server.shared`.
"""
