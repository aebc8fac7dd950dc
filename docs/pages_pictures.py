"""Photograph the pages of docs/deploy.md, by the Chromium that is installed.

    python -m http.server -b 127.0.0.1 -d site 8000 &       # of `gcn-jax export --format web`
    gcn-jax demo --ckpt runs/camvid &
    python docs/pages_pictures.py photo.png 236,288

The numbers are the row and the column of the pixel whose receptive field is shown.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

_SITE, _DEMO = "http://127.0.0.1:8000", "http://127.0.0.1:7860"
_WINDOW, _PHONE = {"width": 880, "height": 690}, {"width": 390, "height": 690}
_GAP, _PAPER = 20, (255, 255, 255)
_PATIENCE = 600_000  # ms; busy machines compile slowly


def main(picture: str, pixel: str) -> None:
    """Write docs/web.jpg and docs/demo.jpg: a window, light, beside a phone, dark."""
    row, column = map(int, pixel.split(","))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        _write("web", [_shown(browser, _SITE, picture), _shown(browser, _SITE, picture, dark=True)])
        _write("demo", [
            _shown(browser, _DEMO, picture),
            _shown(browser, _DEMO, picture, dark=True, click=(row, column)),
        ])  # fmt: skip
        browser.close()


def _shown(
    browser: Browser,
    url: str,
    picture: str,
    *,
    dark: bool = False,
    click: tuple[int, int] | None = None,
) -> Image.Image:
    """Return what a page looks like once it has segmented a picture."""
    page = browser.new_page(
        viewport=_PHONE if dark else _WINDOW, color_scheme="dark" if dark else "light"
    )
    page.goto(url)
    page.wait_for_selector("body[data-state=ready]", timeout=_PATIENCE)
    page.set_input_files("#picture", picture)
    page.wait_for_selector("body[data-state=done]", timeout=_PATIENCE)
    if click:
        box = page.locator("#image").bounding_box()
        height, width = page.evaluate("[prediction.height, prediction.width]")
        x = box["x"] + (click[1] + 0.5) / width * box["width"]
        y = box["y"] + (click[0] + 0.5) / height * box["height"]
        page.mouse.click(x, y)
        page.wait_for_selector("#field:visible", timeout=_PATIENCE)
    found = Image.open(io.BytesIO(page.screenshot()))
    page.close()
    return found.convert("RGB")


def _write(name: str, parts: list[Image.Image]) -> None:
    width = sum(part.width for part in parts) + _GAP * (len(parts) - 1)
    joined = Image.new("RGB", (width, max(part.height for part in parts)), _PAPER)
    left = 0
    for part in parts:
        joined.paste(part, (left, 0))
        left += part.width + _GAP
    target = Path(__file__).with_name(f"{name}.jpg")
    joined.save(target, quality=72, subsampling=0, optimize=True)
    print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
