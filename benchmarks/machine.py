"""The circumstances of a measurement: device, versions, date, load."""

import datetime
import importlib.metadata
import os
import platform

from gcn_jax.errors import UserError
from gcn_jax.sessions import cpu_name


def describe(*packages: str) -> dict:
    """Return the machine, the date, and the versions of Python and of packages, for a report.

    Raises:
        UserError: A package is not installed.
    """
    return {
        "device": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | versions(*packages),
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages.

    Raises:
        UserError: A package is not installed.
    """
    try:
        return {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(f"{error.name} is not installed: pip install -e '.[bench]'") from None
