"""MTConnect adapters that speak SHDR over TCP."""
