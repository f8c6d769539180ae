"""The command line and the demo: where all the rooms meet."""

__version__ = "0.1.0"
