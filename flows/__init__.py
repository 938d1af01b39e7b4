"""Prefect flows: names, retries, one run at a time. What a stage does is in ``stratify.pipeline``."""

import os

# Set before Prefect is imported: both are needed for it to talk to nobody but this machine.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
