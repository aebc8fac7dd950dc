"""What the buttons of a page do, in a browser that is there."""

import json
import re
import shutil
import subprocess

import pytest

from gcn_jax.report import html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

#: A picture of one pixel.
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=="
#: Press buttons as a keyboard does, and note what is seen; `at` waits for a time in ms.
SCRIPT = """
<script>
const seen = [], $ = (selector) => document.querySelector(selector);
const shown = () => [...document.querySelectorAll("#pictures img:not([hidden])")];
const note = () => seen.push(
  [$("#viewer").open, $("#blink").ariaPressed, shown().map((image) => image.alt)]);
const at = (ms, act) => setTimeout(() => { act(); note(); }, ms);
const key = (name) => $("#viewer").dispatchEvent(new KeyboardEvent("keydown", {key: name}));
STEPS
setTimeout(() => { document.body.innerHTML = "<pre>" + JSON.stringify(seen) + "</pre>"; }, 5000);
</script>
"""


def watch(tmp_path, steps):
    """Return what is noted after each step: whether enlarged, whether blinking, what is shown."""
    panels = [
        {"name": name, "uri": PIXEL, "is_map": False, "blinks": name in ("truth", "prediction")}
        for name in ("image", "truth", "prediction", "errors")
    ]
    cells = [
        {"id": i, "size": (1, 1), "classes": [], "panels": panels} for i in ("first", "second")
    ]
    page = {"title": "", "subtitle": "", "facts": {}, "legend_of_all": [], "cells": cells}
    path = html.write(tmp_path / "page.html", "contact_sheet.html.jinja", page)
    path.write_text(path.read_text().replace("</body>", SCRIPT.replace("STEPS", steps) + "</body>"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=9000", path.as_uri()]
    text = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return json.loads(re.search(r"<pre>(.*)</pre>", text)[1])


def test_a_button_blinks_truth_and_prediction_and_stops(tmp_path):
    seen = watch(
        tmp_path,
        """
        at(100, () => document.querySelectorAll(".blink")[1].click());
        at(1000, () => {});
        at(1700, () => {});
        at(1800, () => document.activeElement.click());  // the button that stops it has the focus
        at(3300, () => {});
        at(3400, () => $("#blink").click());
        at(3500, () => $("#viewer").close());
        """,
    )
    truth, prediction = ["truth of second"], ["prediction of second"]
    assert seen == [
        [True, "true", truth],
        [True, "true", prediction],
        [True, "true", truth],
        [True, "false", truth],
        [True, "false", truth],
        [True, "true", truth],
        [False, "true", truth],  # the event that ends the blinking comes after
    ]


def test_a_picture_is_enlarged_and_the_arrows_go_on(tmp_path):
    seen = watch(
        tmp_path,
        """
        at(100, () => document.querySelectorAll(".zoom")[2].click());
        at(200, () => key("ArrowRight"));
        at(300, () => key("ArrowRight"));
        at(400, () => key("ArrowLeft"));
        at(500, () => $("#before").click());
        at(600, () => $("#pictures img").click());
        """,
    )
    shown = [[*map(str, one[2])] for one in seen]
    names = ("prediction", "errors", "image", "errors", "prediction", "prediction")
    assert shown == [[f"{name} of first"] for name in names]
    assert [one[0] for one in seen] == [True] * 5 + [False]
    assert {one[1] for one in seen} == {"false"}
