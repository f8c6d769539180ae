"""Heidenhain controllers (TNC 320 to TNC 640, iTNC 530) by LSV/2."""
