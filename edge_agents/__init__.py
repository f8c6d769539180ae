"""The process on a Pi: what happens at its sources goes to disk first, then to the centre until the centre has it."""
