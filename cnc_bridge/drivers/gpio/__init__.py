"""Dry contacts and stack lights on the pins of a Raspberry Pi: a machine without an interface still has a state."""
