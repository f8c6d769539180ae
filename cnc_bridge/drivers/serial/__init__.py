"""Controllers on a serial line: Haas Q commands (also over TCP), and DNC (drip feed, punch and read)."""
