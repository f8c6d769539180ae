"""From frames to "slot A3 went from 4 to 3"."""

import os

# Read by OpenCV when it is loaded: a small file that says it is a picture of a billion points is not unfolded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(120_000_000))
