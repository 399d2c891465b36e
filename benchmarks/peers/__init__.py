"""Other search systems, each in its own environment, behind one protocol; see adapter.py."""
