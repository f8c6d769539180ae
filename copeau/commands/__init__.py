"""One file per command; each exposes a click command named `command` and imports its room only when it runs."""
