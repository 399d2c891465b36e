"""What goes over the wire: a type for each request and answer, in the module of its routes.

The same types decode requests, encode answers and write the OpenAPI document. A field carries its limits and its
example. The types know no route, no service and no engine; anything may import them.
"""
