"""Controllers to machine state, samples, part counts and alarms: one folder per driver, one model for all."""
