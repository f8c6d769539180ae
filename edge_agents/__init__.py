"""The process on a Pi: what happens at its sources goes to disk first, then to the centre until the centre has it."""

import os

# Read by OpenCV when it is loaded: a small file that says it is a picture of a billion points is not unfolded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(120_000_000))
