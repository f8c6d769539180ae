"""The language of both sides: what an agent and the centre say to each other, and nothing else.

Everything here is a plain value (a frozen :class:`msgspec.Struct`), JSON on the wire, published as JSON Schema in
``docs/schemas/``. No room's code is imported here; every room may import this.
"""
