"""A real Chromium without a window."""

import contextlib
import shutil

import numpy as np
import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def chromium():
    """Start the system's Chromium; skip the test where there is none, or nothing to drive it."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install 'gcn-jax[browser]'")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def wait_for(page, *states):
    """Wait until the page is in one of some states; return what it says then."""
    listed = ", ".join(f"body[data-state={state}]" for state in states)
    page.wait_for_selector(listed, timeout=240_000)
    return page.inner_text("#status")


def wait_for_words(page, words):
    """Wait until the page says something."""
    heard = "words => byId('status').textContent.includes(words)"
    page.wait_for_function(heard, arg=words, timeout=240_000)


def painted(page, canvas="#overlay"):
    """Return the pixels of a canvas, uint8 `[H, W, 4]`."""
    width, height, values = page.eval_on_selector(
        canvas,
        """c => [c.width, c.height,
                 Array.from(c.getContext("2d").getImageData(0, 0, c.width, c.height).data)]""",
    )
    return np.array(values, np.uint8).reshape(height, width, 4)


def overflows(page):
    """Return whether the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
