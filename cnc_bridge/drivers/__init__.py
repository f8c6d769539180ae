"""One folder per protocol: `manifest.toml`, `quality.toml`, `settings.py`, `driver.py`."""
