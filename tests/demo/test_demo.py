"""The demo: what its server answers, and its page in a browser."""

import contextlib
import dataclasses
import io
import json
import socket
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from PIL import Image

from gcn_jax.analysis.receptive_field.units import Unit
from gcn_jax.analysis.receptive_field.valid import valid_field
from gcn_jax.cli import demo as verb
from gcn_jax.cli import process
from gcn_jax.demo import segmenter as rules
from gcn_jax.demo import server as http
from gcn_jax.demo.segmenter import Segmenter
from gcn_jax.demo.server import make_server
from gcn_jax.errors import UserError
from gcn_jax.models import predict
from tests.helpers.browser import chromium, overflows, painted, wait_for
from tests.helpers.exported import photos, pretrained
from tests.helpers.networks import tiny
from tests.helpers.runs import INFO, SMALL, write_untrained

IMAGE = photos(4, 5, seed=3).repeat(10, 0).repeat(10, 1)[:37]


@pytest.fixture(scope="module")
def model():
    model = pretrained(tiny("_tiny"))
    preprocessing = {"mean": np.float32(INFO.mean), "std": np.float32(INFO.std)}
    return model._replace(variables={**model.variables, "preprocessing": preprocessing})


@contextlib.contextmanager
def serving(model):
    server = make_server(Segmenter(model, places=12), "<a run>", "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def url(model):
    with serving(model) as address:
        yield address


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def asked(url, question, body, **parameters):
    """Return the fields and the array of an answer."""
    response = requests.post(f"{url}/{question}", data=body, params=parameters, timeout=300)
    assert response.status_code == 200, response.text
    head, _, rest = response.content.partition(b"\n")
    fields = json.loads(head)
    array = np.frombuffer(rest, np.uint8).reshape(fields.pop("height"), fields.pop("width"))
    return fields, array


def test_labels_are_those_of_the_model(url, model):
    _, labels = asked(url, "labels", png(IMAGE))
    np.testing.assert_array_equal(labels, predict(model.model, model.variables, IMAGE))


def test_a_network_of_one_channel_sees_the_grey_of_a_picture():
    source = pretrained(tiny("_tiny", in_channels=1))
    info = dataclasses.replace(INFO, mean=(110.0,), std=(50.0,))
    preprocessing = {"mean": np.float32(info.mean), "std": np.float32(info.std)}
    variables = {**source.variables, "preprocessing": preprocessing}
    asks = Segmenter(source._replace(variables=variables, info=info), places=4)
    grey = np.asarray(Image.fromarray(IMAGE).convert("L"))[..., None]
    np.testing.assert_array_equal(asks.labels(png(IMAGE)), predict(source.model, variables, grey))


def test_a_mask_comes_back_as_its_classes(url):
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    mask[0, 0] = 255
    np.testing.assert_array_equal(asked(url, "truth", png(mask))[1], mask)


def test_a_field_is_that_of_the_pixel_and_class(url, model):
    fields, share = asked(url, "field", png(IMAGE), row=30, column=7, **{"class": 2})
    # 37 x 50 pixels at 12 places: every 13 pixels, 26 of them a side.
    expected, stimulus = valid_field(
        model.model, model.variables, IMAGE, Unit(30, 7, 2), patch=26, stride=13, batch_size=8
    )
    np.testing.assert_allclose(share, 255 * expected / expected.max(), atol=0.51)
    assert fields["score"] == pytest.approx(stimulus.plain, rel=1e-4)
    assert fields["largest"] == pytest.approx(expected.max(), rel=1e-3)


def test_in_a_large_picture_a_field_is_looked_for_around_the_pixel(model, monkeypatch):
    monkeypatch.setattr(rules, "WINDOW", 32)
    field = Segmenter(model, places=4).field(png(IMAGE), Unit(2, 40, 1))
    covered = np.argwhere(field.discrepancy)
    assert field.discrepancy.shape == (37, 50)
    assert (covered.min(0) >= (0, 18)).all()
    assert (covered.max(0) < (32, 50)).all()


@pytest.mark.parametrize(
    ("question", "body", "status", "message"),
    [
        ("labels", b"no image", 422, "the picture"),
        ("labels", b"", 422, "the picture"),
        ("truth", png(IMAGE), 422, "the mask: a colour image"),
        (
            "truth",
            png(np.full((2, 2), 7, np.uint8)),
            422,
            "the mask holds 7; the model has",
        ),
        ("field?row=0&column=0", png(IMAGE), 422, "a field needs row, column and class"),
        ("field?row=0&column=0&class=3", png(IMAGE), 422, "the model has classes 0 to 2, not 3"),
        ("field?row=99&column=0&class=0", png(IMAGE), 422, "outside the image of 37 rows"),
        ("passwords", b"", 404, "there is no such question"),
    ],
)
def test_what_makes_no_sense_is_said(url, question, body, status, message):
    response = requests.post(f"{url}/{question}", data=body, timeout=60)
    assert response.status_code == status
    assert message in response.text
    assert "/tmp" not in response.text


def test_large_uploads_are_refused_before_they_are_read(url, monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 2**20)
    with contextlib.closing(socket.create_connection(("127.0.0.1", urlsplit(url).port))) as peer:
        peer.settimeout(60)
        head = f"POST /labels HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {2**20 + 1}\r\n\r\n"
        peer.sendall(head.encode())  # and no body
        assert b" 413 " in peer.recv(100)
    monkeypatch.setattr(rules, "MOST_PIXELS", 100)
    response = requests.post(f"{url}/labels", data=png(IMAGE), timeout=60)
    assert (response.status_code, "50 x 37 pixels" in response.text) == (422, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Host": "elsewhere.example"},  # whose name server says 127.0.0.1
        {"Host": "elsewhere.example", "Origin": "http://elsewhere.example"},
    ],
)
def test_pages_of_other_sites_get_nothing(url, headers):
    for response in (
        requests.get(url, headers=headers, timeout=60),
        requests.post(f"{url}/labels", data=png(IMAGE), headers=headers, timeout=60),
    ):
        assert response.status_code == 403


def test_the_page_shows_classes_truth_and_field(url, model, tmp_path):
    labels = predict(model.model, model.variables, IMAGE)
    mask = np.where(labels == labels[0, 0], labels, 255).astype(np.uint8)
    mask[:10] = 1 + labels[:10] % 2  # wrong wherever it is not a 1
    for name, array in (("picture", IMAGE), ("mask", mask), ("small", mask[:5])):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    palette = np.array(INFO.palette, np.uint8)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda fault: faults.append(fault))
        page.goto(url)
        wait_for(page, "ready")
        assert page.inner_text("h1") == "<a run>"
        page.set_input_files("#mask", str(tmp_path / "mask.png"))
        assert wait_for(page, "error") == "first the picture, then its mask"

        page.set_input_files("#picture", str(tmp_path / "picture.png"))
        assert wait_for(page, "done").startswith("50 x 37 pixels")
        np.testing.assert_array_equal(painted(page)[..., :3], palette[labels])
        classes, counts = np.unique(labels, return_counts=True)
        shown = dict(row.split("\t") for row in page.inner_text("#legend").split("\n"))
        assert shown == {
            INFO.class_names[i]: f"{100 * count / labels.size:.1f} %"
            for i, count in zip(classes, counts, strict=True)
        }

        page.set_input_files("#mask", str(tmp_path / "small.png"))
        assert wait_for(page, "error") == "the mask has 50 x 5 pixels, the picture 50 x 37"
        page.set_input_files("#mask", str(tmp_path / "mask.png"))
        counted = mask != 255
        right = 100 * (mask == labels)[counted].mean()
        expected = f"{right:.1f} % of {counted.sum()} labelled pixels are right"
        assert wait_for(page, "done") == expected
        for kind in ("truth", "prediction"):  # in turn, by itself
            page.wait_for_function(f"document.body.dataset.map == '{kind}'")
            assert page.inner_text("#showing") == kind
        page.select_option("#shown", "truth")
        pixels = painted(page)
        np.testing.assert_array_equal(pixels[..., 3] == 255, counted)
        np.testing.assert_array_equal(pixels[counted][:, :3], palette[mask[counted]])

        box = page.locator("#image").bounding_box()
        page.mouse.click(box["x"] + 7.5 / 50 * box["width"], box["y"] + 30.5 / 37 * box["height"])
        page.wait_for_function("document.body.dataset.state != 'done' || !byId('field').hidden")
        wait_for(page, "done")
        assert "at row 30, column 7 (" in page.inner_text("#about-field")
        assert INFO.class_names[labels[30, 7]] in page.inner_text("#about-field")
        assert page.is_visible("#field")
        assert not page.is_visible("#overlay")
        assert painted(page, "#field")[..., 3].max() > 200
        assert not overflows(page)
        assert not faults
        assert all(address.startswith((url, "data:")) for address in asked)


def test_the_verb_says_where_to_look(tmp_path, monkeypatch, capsys):
    write_untrained(tmp_path / "run", SMALL, 5, 0.5)
    served = []
    monkeypatch.setattr(http._Server, "serve_forever", lambda server: served.append(server))
    process.call(verb, ["--ckpt", str(tmp_path / "run"), "--port=0"])
    port = served[0].server_address[1]
    said = capsys.readouterr().out
    assert said == f"open http://127.0.0.1:{port} in a browser; Ctrl-C ends it\n"
    assert "<h1>run, step 5</h1>" in served[0].RequestHandlerClass.page.decode()


def test_a_port_that_is_taken_is_said(model):
    with serving(model) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be listened at: Address al"):
            make_server(Segmenter(model, 1), "", "127.0.0.1", port)
    with pytest.raises(UserError, match="nowhere.invalid:0 cannot be listened at"):
        make_server(Segmenter(model, 1), "", "nowhere.invalid", 0)
