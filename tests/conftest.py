"""Settings and small data sets that every test shares."""

import gc
import os

# Eight host devices, so that sharded runs are tested everywhere; one-device runs pick the first.
# Programs are compiled with little effort, in two thirds of the time: most run once.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=8 "
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import shutil
import tempfile
from pathlib import Path

# Compilation dominates the tests: what one run compiled, the next one reads; the verbs, too.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
    Path(os.environ["PYTEST_DEBUG_TEMPROOT"]) / "gcn_jax_cache"
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

import jax
import numpy as np
import pytest
from PIL import Image

from tests.helpers.small_data import CLASS_NAMES, draw_example, save_mask

# A silent broadcast between ranks is a bug in a segmentation library more often than a wish.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes millions of small objects, few of them in cycles: by default a twentieth of the time
# goes into looking for these.
gc.set_threshold(50_000, 10, 10)

_litter: list[str] = []


def pytest_configure(config):
    """Give the session a temporary folder, which the processes that it starts inherit.

    What pytest keeps of some sessions, and compiled programs, lie beside it.
    """
    if not _is_worker(config):
        tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="gcn_jax_tests_")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Fail where a test, or what it started, left something in the temporary folder."""
    if not _is_worker(session.config):
        _litter.extend(sorted(os.listdir(tempfile.gettempdir())))
        shutil.rmtree(tempfile.gettempdir())
        if _litter and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    """Name what was left there."""
    if _litter:
        terminalreporter.section("left in the temporary folder", red=True)
        terminalreporter.line(f"{len(_litter)}: {', '.join(_litter[:20])}")


def _is_worker(config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture(scope="session")
def voc_folder(tmp_path_factory) -> Path:
    """Twelve training and five validation images of many sizes, in VOC's layout."""
    root = tmp_path_factory.mktemp("voc_folder")
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        keys = [f"{split}_{i:02d}" for i in range(count)]
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(keys) + "\n")
        for i, key in enumerate(keys):
            image, label = draw_example(rng, 32 + 3 * (i % 3), 40 + 5 * (i % 2))
            Image.fromarray(image).save(root / "JPEGImages" / f"{key}.jpg", quality=95)
            save_mask(label, root / "SegmentationClass" / f"{key}.png")
    return root
