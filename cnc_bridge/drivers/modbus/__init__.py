"""Modbus TCP and RTU, registers mapped by configuration."""
