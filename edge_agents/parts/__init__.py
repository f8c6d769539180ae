"""The sources of facts that an agent can have: racks, scanners, machines."""
