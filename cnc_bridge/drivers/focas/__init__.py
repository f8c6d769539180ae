"""Fanuc controllers by FOCAS 2 over Ethernet, with a client of our own: no vendor library."""
