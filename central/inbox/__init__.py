"""Every fact enters here, once: accepted, or kept in quarantine and shown; then acknowledged, after the commit."""
