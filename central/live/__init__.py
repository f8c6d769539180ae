"""What leaves the centre after a commit: changes to the pages (SSE), messages to the broker."""
