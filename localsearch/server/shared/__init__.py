"""What the processes of one server share: numbers in mapped memory, buckets of requests, and a private socket.

Nothing here knows a route. `localsearch.server.workers` starts the processes.
"""
