"""A seeded, procedural renderer of tool racks and of hands that reach into them: training images and test episodes."""
