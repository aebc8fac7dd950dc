"""What a benchmark's report says of the machine it ran on."""

import platform

import pytest

from benchmarks import machine
from gcn_jax.errors import UserError
from gcn_jax.sessions import cpu_name


def test_report_names_versions_and_processor():
    report = machine.describe("numpy")
    assert report["versions"].keys() == {"python", "numpy"}
    assert report["versions"]["python"] == platform.python_version()
    assert report["device"] == cpu_name()


def test_missing_package_is_named():
    with pytest.raises(UserError, match=r"no_such_package is not installed: .*\[bench\]"):
        machine.describe("numpy", "no_such_package")
