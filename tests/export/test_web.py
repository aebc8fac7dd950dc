"""The folder for a static host, opened in a browser."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from gcn_jax import models
from gcn_jax.cli import export as verb
from gcn_jax.cli import process
from gcn_jax.errors import UserError
from gcn_jax.export import web
from gcn_jax.export.images import make_batches
from gcn_jax.export.program import pad
from gcn_jax.export.target import make_target
from gcn_jax.models.pretrained.info import write_info
from tests.helpers.browser import chromium, overflows, painted, wait_for, wait_for_words
from tests.helpers.exported import logits_of, photos, pretrained
from tests.helpers.networks import tiny
from tests.helpers.published_data import serve
from tests.helpers.runs import INFO

REASON = "ONNX is not installed: pip install 'gcn-jax[onnx]'"
pytest.importorskip("onnxruntime", reason=REASON)


@pytest.fixture(scope="module")
def source():
    return pretrained(tiny("_tiny"))


def write(source, folder, size=None):
    """Write the folder of a page; skip where its runtime is not here and cannot be fetched."""
    try:
        web.fetch_runtime()
    except UserError as error:
        pytest.skip(str(error))
    images = photos(2, 64, 96)[..., : source.info.channels]
    batches = make_batches([*images], 32, source.info.mean, size)
    (difference,) = web.write_web(make_target(source, ("labels",)), folder, batches, size)
    assert difference.share < 1e-5
    return folder


@pytest.fixture(scope="module")
def site(source, tmp_path_factory):
    return write(source, tmp_path_factory.mktemp("web") / "site")


def blocks(height, width):
    """Return a picture of coloured squares of 10 pixels."""
    small = photos(-(-height // 10), -(-width // 10), seed=3)
    return small.repeat(10, 0).repeat(10, 1)[:height, :width]


def save(image, path):
    Image.fromarray(image).save(path)
    return str(path)


def labels_on(page):
    """Return the classes that the page shows, by their colours."""
    pixels = painted(page)
    assert (pixels[..., 3] == 255).all()
    same = (pixels[..., None, :3] == np.array(INFO.palette, np.uint8)).all(-1)
    assert same.any(-1).all()
    return same.argmax(-1)


def classes_of(source, image):
    """Return the class map of a picture that is padded as files of any size are."""
    logits = logits_of(source, pad(image[None], 32, INFO.mean))
    return logits[0].argmax(-1)[: image.shape[0], : image.shape[1]]


def test_the_folder_holds_what_the_page_loads_and_nothing_else(site):
    files = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    assert files == {
        "index.html",
        "model.onnx",
        "onnxruntime-web/package.json",
        "onnxruntime-web/ort.wasm.bundle.min.mjs",
        "onnxruntime-web/ort-wasm-simd-threaded.wasm",
    }
    about = json.loads((site / "onnxruntime-web/package.json").read_text())
    assert (about["version"], about["license"]) == ("1.27.0", "MIT")


def test_the_page_segments_pictures_of_any_size(site, source, tmp_path):
    image = blocks(50, 70)
    file = save(image, tmp_path / "a.png")
    with chromium() as browser, serve(site) as url:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda fault: faults.append(fault))
        page.goto(url)
        assert wait_for(page, "ready", "error") == "_tiny, 3 classes, step 7"
        page.set_input_files("#picture", file)
        assert wait_for(page, "done", "error").startswith("70 x 50 pixels, segmented at 70 x 50 in")
        expected = classes_of(source, image)
        np.testing.assert_array_equal(labels_on(page), expected)

        counts = np.bincount(expected.ravel(), minlength=3)
        order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
        assert len(order) > 1
        rows = [f"{INFO.class_names[i]}\t{100 * counts[i] / 3500:.1f} %" for i in order]
        assert page.inner_text("#legend").split("\n") == rows

        page.fill("#opacity", "20")
        assert page.eval_on_selector("#overlay", "c => c.style.opacity") == "0.2"
        assert not overflows(page)

        page.set_input_files("#picture", save(blocks(300, 1200), tmp_path / "wide.png"))
        wait_for_words(page, "1200 x 300 pixels, segmented at 512 x 128 in")
        assert labels_on(page).shape == (128, 512)
        page.select_option("#side", "256")
        wait_for_words(page, "1200 x 300 pixels, segmented at 256 x 64 in")
        assert labels_on(page).shape == (64, 256)

        note = tmp_path / "note.png"
        note.write_text("no picture")
        page.set_input_files("#picture", str(note))
        assert wait_for(page, "error").startswith(
            "note.png is no picture that this browser can show"
        )

        colors = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colors.add(page.eval_on_selector("body", "b => getComputedStyle(b).backgroundColor"))
        assert len(colors) == 2
        assert not faults
        assert [
            address for address in asked if not address.startswith((url, "data:", "blob:"))
        ] == []


def test_a_page_of_one_channel_sees_the_grey_of_a_picture(tmp_path):
    image = blocks(50, 70)
    info = dataclasses.replace(INFO, mean=(112.0,), std=(60.0,))
    source = pretrained(tiny("_tiny", in_channels=1))
    preprocessing = {"mean": np.float32(info.mean), "std": np.float32(info.std)}
    variables = {**source.variables, "preprocessing": preprocessing}
    source = source._replace(info=info, variables=variables)
    folder = write(source, tmp_path / "site")
    grey = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    expected = models.predict(source.model, variables, grey)
    with chromium() as browser, serve(folder) as url:
        page = browser.new_page()
        page.goto(url)
        assert wait_for(page, "ready", "error") == "_tiny, 3 classes, step 7"
        page.set_input_files("#picture", save(image, tmp_path / "a.png"))
        assert wait_for(page, "done", "error").startswith("70 x 50 pixels, segmented at 70 x 50 in")
        np.testing.assert_array_equal(labels_on(page), expected)


def test_a_page_of_one_size_fills_up_with_the_mean_colour(source, tmp_path):
    folder = write(source, tmp_path / "site", (64, 96))
    image = blocks(40, 70)
    with chromium() as browser, serve(folder) as url:
        page = browser.new_page()
        page.goto(url)
        wait_for(page, "ready", "error")
        assert not page.is_visible("#side")
        page.set_input_files("#picture", save(image, tmp_path / "a.png"))
        wait_for(page, "done", "error")
        np.testing.assert_array_equal(labels_on(page), classes_of(source, image))
        page.set_input_files("#picture", save(blocks(400, 300), tmp_path / "high.png"))
        wait_for_words(page, "300 x 400 pixels, segmented at 48 x 64 in")


def test_a_page_whose_network_is_missing_says_so(site, tmp_path):
    folder = shutil.copytree(site, tmp_path / "site")
    (folder / "model.onnx").unlink()
    with chromium() as browser, serve(folder) as url:
        page = browser.new_page()
        page.goto(url)
        assert wait_for(page, "ready", "error") == "model.onnx: 404 File not found"
        page.goto((folder / "index.html").as_uri())
        assert "python -m http.server" in wait_for(page, "ready", "error")


def test_without_a_network_the_file_to_fetch_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = "http://127.0.0.1:9/onnxruntime-web-1.27.0.tgz"  # where nobody answers
    monkeypatch.setattr(web, "RUNTIME_URL", url)
    place = tmp_path / "cache/gcn_jax/npm/onnxruntime-web-1.27.0.tgz"
    write_info(tmp_path, INFO)  # but no checkpoint: the file is fetched before that is read
    flags = [f"--ckpt={tmp_path}", "--format=web", "--output", str(tmp_path / "site")]
    with pytest.raises(UserError, match=f"cannot be downloaded .* fetch {url} by hand .* {place}"):
        process.call(verb, flags)
    place.write_bytes(b"another file")
    found = hashlib.sha512(b"another file").hexdigest()[:8]
    with pytest.raises(UserError, match=f"its sha512 begins with {found}, not a200cbb2"):
        process.call(verb, flags)
    assert not (tmp_path / "site").exists()


def test_what_makes_no_sense_for_a_page_is_said(tmp_path):
    flags = ["--ckpt=missing", "--format=web", "--output", str(tmp_path / "site")]
    with pytest.raises(UserError, match="--output_kind is not for --format web"):
        process.call(verb, [*flags, "--output_kind=logits"])
