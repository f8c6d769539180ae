"""What every feature stands on: settings, database, clock, the unit of work, and how facts find their consumers."""
