"""Siemens S7 controllers (S7-300, 400, 1200, 1500, and a 840D's PLC), addresses mapped by configuration."""
