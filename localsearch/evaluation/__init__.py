"""Ranking measured on judged queries: collections in BEIR layout, metrics, and the run of all queries.

The command line and `upkeep.versions` call it; it asks through the engine or searcher that it is handed.
"""
