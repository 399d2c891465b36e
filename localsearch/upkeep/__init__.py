"""Keeping an index sound: check and repair, backup and restore, export and import, real deletion.

check.py      what is wrong, and mending what is derived
backup.py     one verified file of a live index, and back
exchange.py   documents as JSONL, across releases
purge.py      deleting so that no byte stays
doctor.py     a quick look at everything around the index, each finding with its remedy
"""
