"""The suites: each a module with `run(context) -> figures`, figures being plain JSON."""
