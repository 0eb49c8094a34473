"""What Ray must be told before it is imported, since it reads these variables only then."""

from __future__ import annotations

import os


def before_import(address: str | None) -> None:
    """Keep Ray quiet and to itself, where the user has not decided otherwise.

    Args:
        address: of a cluster; ``None`` when Ray will be started on this machine.
    """
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",  # no reports about usage to its makers
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # no packages installed when uv started us
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; saves a warning
    }
    if address is None:
        settings |= {
            # as on Windows and macOS: listen on 127.0.0.1, not on the machine's outer address
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_BACKEND_LOG_LEVEL": "fatal",
        }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
