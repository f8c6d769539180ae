"""A serial line to a controller: the port, its flow control, and the programmes that go over it."""
