"""Formulas of ranking, pure functions over arrays: fusion, relevance, late interaction, and every constant of them.

Nothing here reads an index; `search` hands in scores and takes out scores.
"""
