"""The files that a prediction leaves: of images, with probabilities, and of videos."""

import dataclasses
import errno
import os
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image

from gcn_jax.data.problems import Problem
from gcn_jax.data.video import open_video
from gcn_jax.errors import UserError
from gcn_jax.inference import CRFParameters, Inference, Predictor
from gcn_jax.report import predictions
from gcn_jax.report.video import pictures_to
from tests.helpers.fakes import INFO, NUM_CLASSES, tiny_pretrained

RATE, TIME_BASE = Fraction(25), Fraction(1, 25)


def fake_predictor(after=lambda: None):
    """A predictor whose class maps are the red of the image, in five steps."""

    def predict(source):
        for index, example in enumerate(source):
            after()
            yield index, example, (example["image"][..., 0] // 52).astype(np.int32)

    return SimpleNamespace(info=INFO, predict=predict)


def write_video(path, count, size=(48, 64)):
    y, x = np.mgrid[: size[0], : size[1]]
    with pictures_to(path, size, RATE, TIME_BASE) as add:
        for number in range(count):
            red = (5 * y + number) % 256
            add(np.stack([red, 3 * x % 256, np.zeros_like(y)], -1).astype(np.uint8), number)
    return path


def frames_of(path, layout):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(f.to_ndarray(format=layout), f.time) for f in container.decode(stream)]
        return stream.average_rate, *map(list, zip(*frames, strict=True))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"scales": (0.5, 1.0), "flip": True},
        {"crf": CRFParameters(3, 3, 30, 10, 5, iterations=2)},
    ],
    ids=["plain", "more", "CRF"],
)
def test_probabilities_are_those_that_the_labels_come_from(tmp_path, how):
    predictor = Predictor(tiny_pretrained(), inference=Inference(**how))
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    files = predictions.predict_image(
        predictor, {"image": image}, tmp_path / "new/a.b", probabilities=True
    )
    assert [file.name for file in files] == ["a.b.png", "a.b_overlay.png", "a.b_probabilities.npy"]
    found = np.load(files[2], mmap_mode="r")
    assert (found.dtype, found.shape) == (np.float16, (37, 50, NUM_CLASSES))
    np.testing.assert_allclose(found.sum(axis=-1, dtype=np.float32), 1, atol=2e-3)
    labels = np.asarray(Image.open(files[0]))
    ((_, _, expected),) = predictor.predict([{"image": image}])
    np.testing.assert_array_equal(labels, expected)
    chosen = np.take_along_axis(found, labels[..., None].astype(int), -1)[..., 0]
    np.testing.assert_array_equal(chosen, found.max(axis=-1))  # equal ones count as one
    assert found.max() > 0.5


def test_a_video_becomes_two_of_its_size_rate_and_times(tmp_path):
    pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    source = write_video(tmp_path / "in.mp4", 30)
    told = []
    files, count, problem = predictions.predict_video(
        fake_predictor(), source, tmp_path / "out/in", lambda *numbers: told.append(numbers)
    )
    assert (count, problem) == (30, None)
    assert [file.name for file in files] == ["in.mkv", "in_overlay.mp4"]
    assert told == [(number, 30) for number in range(1, 31)]
    with open_video(source) as opened:
        images = [frame.image for frame in opened.frames()]
    rate, labels, times = frames_of(files[0], "gray")
    np.testing.assert_array_equal(labels, [image[..., 0] // 52 for image in images])
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-3)
    rate, overlays, times = frames_of(files[1], "rgb24")
    assert rate == RATE
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-3)
    palette = np.asarray(INFO.palette)
    for image, overlay in zip(images, overlays, strict=True):
        expected = (image.astype(float) + palette[image[..., 0] // 52]) / 2
        assert np.abs(overlay - expected).mean() < 8  # edges lose colour in a video


def test_a_network_of_one_channel_sees_the_grey_of_a_video(tmp_path):
    pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    source = write_video(tmp_path / "in.mp4", 3)
    seen = []

    def predict(examples):
        seen.extend(example["image"] for example in examples)
        yield 0, {}, np.zeros(seen[-1].shape[:2], np.int32)

    info = dataclasses.replace(INFO, mean=(100.0,), std=(50.0,))
    predictor = SimpleNamespace(info=info, predict=predict)
    predictions.predict_video(predictor, source, tmp_path / "out/in", lambda *_: None)
    with open_video(source) as opened:
        frames = [frame.image for frame in opened.frames()]
    for frame, image in zip(frames, seen, strict=True):
        assert (image.dtype, image.shape) == (np.uint8, (48, 64, 1))
        np.testing.assert_allclose(image[..., 0], frame @ [0.299, 0.587, 0.114], atol=0.51)


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path):
    pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    size = (240, 320)
    source = write_video(tmp_path / "in.mp4", 250, size)
    process, taken = psutil.Process(), []
    predictions.predict_video(
        fake_predictor(),
        source,
        tmp_path / "out",
        lambda *_: taken.append(process.memory_info().rss),
    )
    frames_that_fit = (max(taken) - taken[100]) / (3 * size[0] * size[1])
    assert frames_that_fit < 50, "of 150 that came after the codecs had all that they need"


def test_what_comes_before_damage_is_kept_and_nothing_of_none(tmp_path):
    pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    source = write_video(tmp_path / "in.mp4", 40)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 30] = bytes(30)
    source.write_bytes(content)
    files, count, problem = predictions.predict_video(
        fake_predictor(), source, tmp_path / "out/in", lambda *_: None
    )
    assert 0 < count < 40
    assert f"damaged at frame {count + 1}" in str(problem)
    for file, layout in zip(files, ("gray", "rgb24"), strict=True):
        assert len(frames_of(file, layout)[1]) == count
    source.write_bytes(b"nothing")
    with pytest.raises(Problem, match="not a readable video"):
        predictions.predict_video(fake_predictor(), source, tmp_path / "x/in", lambda *_: None)
    assert not (tmp_path / "x").exists()


def test_ctrl_c_ends_a_stream_whole_and_leaves_nothing_of_a_file(tmp_path):
    pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    source = write_video(tmp_path / "in.mp4", 30)
    calls = iter(range(100))

    def interrupt():
        if next(calls) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictions.predict_video(
            fake_predictor(interrupt), source, tmp_path / "out/in", lambda *_: None
        )
    assert [*(tmp_path / "out").iterdir()] == []
    calls = iter(range(100))
    address = f"file://{source}"  # an address, as a camera has one
    files, count, problem = predictions.predict_video(
        fake_predictor(interrupt), address, tmp_path / "out/in", lambda *_: None
    )
    assert (count, problem) == (12, None)
    assert len(frames_of(files[0], "gray")[1]) == 12


def test_a_full_disk_is_said_with_the_file_that_has_no_room(tmp_path, monkeypatch):
    av = pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    source = write_video(tmp_path / "in.mp4", 3)
    really_open = av.open

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __getattr__(self, name):
            return getattr(self._file, name)

    def open_full(file, *arguments, **more):
        is_labels = more.get("format") == "matroska" and not isinstance(file, str)
        return really_open(Full(file) if is_labels else file, *arguments, **more)

    monkeypatch.setattr(av, "open", open_full)
    with pytest.raises(UserError, match=r"out/in\.mkv cannot be written: No space left on device"):
        predictions.predict_video(fake_predictor(), source, tmp_path / "out/in", lambda *_: None)
    assert [*(tmp_path / "out").iterdir()] == []
