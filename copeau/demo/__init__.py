"""A living shop on one machine: the real broker, centre and agents, fed by real photos, recordings and a rendered
rack.
"""
