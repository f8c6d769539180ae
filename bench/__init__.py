"""Figures: how fast, how late, beside a plain loop in the same run. Nothing here is a test; nothing in the tests
is timed.
"""
