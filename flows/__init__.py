"""Prefect flows: names, retries, one run at a time. What a stage does is in ``stratify.pipeline``.

What is set here is set before Prefect is imported. A server and a worker are started without importing this, so
docs/deploy.md sets the same for them.
"""

import os

_ENVIRONMENT = {
    # Both are needed for Prefect to talk to nobody but this machine.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A flow without a server brings up one of its own for as long as it runs. On a busy machine that takes longer
    # than the 20 s Prefect waits; and as it goes down it writes tracebacks about events nobody reads any more.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
