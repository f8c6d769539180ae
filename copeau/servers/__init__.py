"""Real servers on free ports of this machine, for the demo, the bench and the tests: Mosquitto and PostgreSQL."""
