"""This machine: cores, processor, BLAS threads, the lock of an index folder, durable files.

Every layer above may import it; it imports errors alone.
"""
