"""LinuxCNC, through its own Python module and a small gateway process beside it."""
