"""The page shows the very images that training gets, and void so that nobody overlooks it."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from gcn_jax import report
from gcn_jax.data import Augment, training_batches
from gcn_jax.data.classes import voc_palette
from gcn_jax.data.pipeline import shuffled, training_examples
from gcn_jax.errors import UserError
from gcn_jax.report import pictures
from gcn_jax.training import default_config

AUGMENT = Augment(crop_size=(40, 48), scale=(0.5, 2.0), jitter=0.3, fill=(1.0, 200.0, 3.0))


class FakeSource(list):
    name = "fake:train"
    class_names = ("ground", "<car>", "unseen")
    palette = voc_palette()


@pytest.fixture
def source():
    rng = np.random.default_rng(0)
    examples = FakeSource()
    for i in range(7):
        label = np.zeros((32, 44), np.uint8)
        label[:16] = 1
        label[:, 22:] = 255
        image = np.full((32, 44, 3), rng.integers(60, 200, 3), np.uint8)
        examples.append({"image": image, "label": label, "id": f"photo {i}"})
    return examples


def cells(path):
    """Each figure of a page: its id, its pictures, and the names in its legend."""
    for figure in path.read_text().split("<figure>")[1:]:
        encoded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', figure)
        panels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in encoded]
        names = re.findall(r"</span>([^<]+)</li>", figure)
        yield re.search("<b>(.*)</b>", figure)[1], panels, names


def test_examples_are_those_of_the_batches(source):
    batches = training_batches(source, AUGMENT, batch_size=4, seed=3)
    examples = training_examples(source, AUGMENT, seed=3)
    for i, batch in zip(range(3), batches, strict=False):  # beyond one pass over the images
        for j in range(4):
            for key in ("image", "label"):
                np.testing.assert_array_equal(examples[4 * i + j][key], batch[key][j])


def test_page_has_the_images_of_training_in_their_order(source, tmp_path):
    view = report.View(source, AUGMENT, seed=3)
    path = report.contact_sheet(view, tmp_path / "sheet.html", num_images=9)
    shown = list(cells(path))
    assert len(shown) == 9
    order, examples = shuffled(source, 3), training_examples(source, AUGMENT, 3)
    for i, (key, (image, _), _) in enumerate(shown):
        assert key == order[i]["id"]
        difference = np.abs(image.astype(int) - examples[i]["image"])
        assert np.median(difference) <= 3  # a JPEG's
    text = path.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "&lt;car&gt;" in text
    assert "<car>" not in text


def test_page_of_raw_images_shows_each_once_and_its_void(source, tmp_path):
    path = report.contact_sheet(report.View(source, None, 5), tmp_path / "sheet.html")
    shown = list(cells(path))
    assert sorted(key for key, _, _ in shown) == [f"photo {i}" for i in range(7)]
    for _, (image, label), names in shown:
        assert names == ["ground", "&lt;car&gt;", "void"]
        assert image.shape == label.shape == (32, 44, 3)
        brightness = label.astype(float).mean(axis=2)
        assert np.ptp(brightness[4:-4, 26:]) > 180  # black and white stripes
        assert np.ptp(brightness[4:12, 4:12]) < 20


def test_images_without_labels_are_shown_alone(source, tmp_path):
    for example in source:
        del example["label"]
    path = report.contact_sheet(report.View(source, None), tmp_path / "sheet.html", num_images=2)
    assert [len(panels) for _, panels, _ in cells(path)] == [1, 1]


def test_hatch_leaves_the_rest_alone():
    picture = np.full((6, 8, 3), 90, np.uint8)
    where = np.zeros((6, 8), bool)
    where[:, 4:] = True
    hatched = pictures.hatch(picture, where, period=4)
    np.testing.assert_array_equal(hatched[:, :4], picture[:, :4])
    assert hatched[0, 4:, 0].tolist() == [235, 235, 20, 20]
    assert hatched[1, 4:, 0].tolist() == [235, 20, 20, 235]


def test_config_is_what_training_takes(voc_folder, tmp_path):
    config = default_config()
    config.seed = 4
    config.data.train, config.data.val = ("folder:train", "folder:val*2"), None
    config.data.manual_dir, config.data.data_dir = str(voc_folder), str(tmp_path)
    config.augment.crop_size, config.augment.scale = (24, 20), (0.5, 2.0)
    config.data.mean, config.data.std = (9.0, 8.0, 7.0), (1.0, 1.0, 1.0)
    view = report.config_view(config, tmp_path / "run", augmented=True)
    assert (len(view.source), view.seed) == (12 + 2 * 5, 4)
    assert view.augment == Augment((24, 20), scale=(0.5, 2.0), fill=(9.0, 8.0, 7.0))
    assert report.config_view(config, tmp_path / "run", augmented=False).augment is None


def test_split_needs_a_crop_size(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    assert report.split_view("folder:val", options, None).augment is None
    settings = {"crop_size": None, "flip": False, "scale": None, "jitter": 0.0}
    with pytest.raises(UserError, match="--config.augment.crop_size="):
        report.split_view("folder:val", options, settings)
    view = report.split_view("folder:val", options, settings | {"crop_size": (8, 8)})
    assert (len(view.source), view.augment.crop_size, view.augment.flip) == (5, (8, 8), False)
