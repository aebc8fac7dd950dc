"""What the network sees by each protocol, by value, and what becomes of its answers."""

import dataclasses
import itertools
import math
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags

from gcn_jax.cli.inference_flags import define_inference_flags
from gcn_jax.errors import UserError
from gcn_jax.evaluation import evaluate
from gcn_jax.inference import Inference, Predictor, large
from gcn_jax.inference.protocols import PROTOCOLS, find_protocol
from gcn_jax.mesh import data_mesh, shard_batch
from gcn_jax.models.preprocessing import bucket, smallest_in_bucket
from tests.helpers.fakes import MEAN, random_source, run_network, tiny_pretrained, traced_shapes
from tests.helpers.reference import interpolate


def watch(how, images, answer=lambda number, shape: np.full(shape, number)):
    """Return all that the network sees of the images of a batch, and what is made of its answers.

    Args:
        how: A protocol's settings.
        images: The images.
        answer: Gives the answer to the `number`th run, counted from 1, for a shape.
    """
    predictor = Predictor(tiny_pretrained(), inference=how, batch_size=len(images))
    seen = []

    def run(inputs):
        seen.append(np.asarray(inputs))
        return answer(len(seen), (*inputs.shape[:3], 5)).astype(np.float32)

    predictor._run = run
    (batch,) = predictor.batches([{"image": image, "id": "a"} for image in images])
    probabilities = np.asarray(predictor.probabilities(batch.images, batch.sizes))
    return seen, [own for _, _, own in batch.cut(probabilities)]


def noise(height, width):
    return random_source([(height, width)])[0]["image"]


def placed(height, width):
    """Return an image whose pixels say where they are."""
    rows, columns = np.indices((height, width))
    return np.stack([rows // 8, columns // 8, rows % 8 * 8 + columns % 8], -1).astype(np.uint8)


def place(pixel):
    rows, columns, rest = pixel.astype(int)
    return 8 * rows + rest // 8, 8 * columns + rest % 8


@pytest.mark.parametrize(
    ("protocol", "size", "expected"),
    [
        ("fcn_voc", (375, 500), (375, 500)),
        ("fcn_voc", (333, 500), (333, 500)),
        ("segnet_camvid", (360, 480), (360, 480)),
        ("deeplab_v1_voc", (375, 500), (513, 513)),
        ("deeplab_v2_voc", (500, 334), (513, 513)),
        ("deeplab_v2_voc_crf", (375, 500), (513, 513)),
        ("deeplab_v2_voc_pytorch", (375, 500), (375, 500)),
        # 520 / 375 * 500 is 693.3, 520 / 333 * 500 is 780.8: cut off.
        ("torchvision_coco_voc", (375, 500), (520, 693)),
        ("torchvision_coco_voc", (500, 333), (780, 520)),
        # 512 / 375 * 500 is 682.7, which is 683; the next multiple of 32 is 704.
        ("segformer_ade20k_512", (375, 500), (512, 704)),
        ("segformer_ade20k_640", (500, 333), (992, 640)),  # 961
        ("segformer_ade20k_512", (100, 1000), (224, 2048)),  # 204.8: the longer side decides
        ("segformer_cityscapes", (1024, 2048), (1024, 1024)),
        ("upernet_ade20k_512", (375, 500), (512, 512)),
        ("upernet_ade20k_640", (375, 500), (640, 640)),
        ("pspnet_voc", (375, 500), (473, 473)),
        ("pspnet_cityscapes", (102, 204), (713, 713)),
    ],
)
def test_sizes_that_the_network_sees(protocol, size, expected):
    how = find_protocol(protocol)
    assert how.input_shapes(how.batch_shape(size)) == {expected}


def test_deeplab_pads_to_513_below_and_to_the_right_with_the_mean_itself():
    images = [noise(375, 500), noise(500, 281)]
    assert not find_protocol("deeplab_v2_voc").is_plain  # else batches have the colour in bytes
    (inputs,), _ = watch(find_protocol("deeplab_v2_voc"), images)
    mean = np.float32(MEAN)
    for own, image in zip(inputs, images, strict=True):
        height, width = image.shape[:2]
        np.testing.assert_array_equal(own[:height, :width], image)
        assert (own[height:] == mean).all()
        assert (own[:, width:] == mean).all()


def test_an_image_as_it_is_is_seen_without_any_padding():
    image = noise(37, 50)
    (inputs,), _ = watch(find_protocol("fcn_voc"), [image])
    np.testing.assert_array_equal(inputs[0], image)
    predictor = Predictor(tiny_pretrained(), inference=find_protocol("fcn_voc"))
    assert predictor.inference.is_plain
    traced_shapes.clear()
    ((_, _, found),) = predictor.predict([{"image": image, "id": "a"}])
    assert traced_shapes == [(1, 37, 50, 3)]
    expected = run_network(image, (37, 50))
    clear = np.diff(np.sort(expected)[..., -2:])[..., 0] > 1e-4
    np.testing.assert_array_equal(found[clear], expected.argmax(-1)[clear])


def test_torchvision_resizes_the_shorter_side_to_520():
    image = noise(75, 100)
    how = Inference(pad_to=1, shorter_side=52)
    (inputs,), _ = watch(how, [image])
    np.testing.assert_allclose(inputs[0], interpolate(image.astype(float), (52, 69)), atol=1e-3)


def test_segformer_stretches_images_to_multiples_of_32():
    image = noise(60, 81)
    how = Inference(pad_to=1, longer_side=200, shorter_side=50, side_multiple=32)
    (inputs,), _ = watch(how, [image])
    # 50 / 60 * 81 is 67.5, which is 68.
    np.testing.assert_allclose(inputs[0], interpolate(image.astype(float), (64, 96)), atol=1e-3)


def test_upernet_slides_over_images_of_the_height_of_its_window():
    image = noise(375, 500)
    seen, (result,) = watch(find_protocol("upernet_ade20k_512"), [image])
    view = interpolate(image.astype(float), (512, 683))
    assert len(seen) == 2
    np.testing.assert_allclose(seen[0][0], view[:, :512], atol=1e-2)
    np.testing.assert_allclose(seen[1][0], view[:, 171:], atol=1e-2)
    # Where both see a pixel, each counts half.
    middle = np.full((512, 683), 1.5)
    middle[:, :171], middle[:, 512:] = 1, 2
    np.testing.assert_allclose(
        result[..., 0], interpolate(middle[..., None], (375, 500))[..., 0], atol=1e-5
    )


def test_pspnet_at_375_x_500():
    image = noise(375, 500)
    seen, (result,) = watch(find_protocol("pspnet_voc"), [image])
    view = interpolate(image.astype(float), (384, 512))
    # 473 - 384 = 89 rows are added: 44 above, 45 below; the second window ends at column 512.
    padded = np.broadcast_to(np.array(MEAN), (473, 512, 3)).copy()
    padded[44:428] = view
    left, mirrored_left, right, mirrored_right = (inputs[0] for inputs in seen)
    np.testing.assert_allclose(left, padded[:, :473], atol=1e-3)
    np.testing.assert_allclose(right, padded[:, 39:], atol=1e-3)
    np.testing.assert_array_equal(mirrored_left, left[:, ::-1])
    np.testing.assert_array_equal(mirrored_right, right[:, ::-1])
    assert (left[:44] == np.float32(MEAN)).all()
    assert (left[428:] == np.float32(MEAN)).all()
    # Columns of one window have the mean of its runs, 1.5 or 3.5; those of both, half of each.
    assert (result[:, :38] == 1.5).all()
    assert (result[:, 39:461] == 2.5).all()
    assert (result[:, 463:] == 3.5).all()


def test_pspnet_on_1024_x_2048():
    seen, (result,) = watch(find_protocol("pspnet_cityscapes"), [placed(1024, 2048)])
    assert {inputs.shape for inputs in seen} == {(1, 713, 713, 3)}
    # 713 pixels every 476: 1024 - 713 = 311 and 2048 - 713 = 1335 are where the last begin.
    expected = itertools.product((0, 311), (0, 476, 952, 1335))
    assert [place(inputs[0, 0, 0]) for inputs in seen[::2]] == [*expected]
    assert [place(inputs[0, 0, -1]) for inputs in seen[1::2]] == [
        place(inputs[0, 0, 0]) for inputs in seen[::2]
    ]
    # Window i, counted from 0, is in runs 2 i + 1 and 2 i + 2: its mean is 2 i + 1.5.
    assert (result[0, 0], result[0, 2047], result[1023, 2047]) == pytest.approx((1.5, 7.5, 15.5))
    assert result[0, 500] == pytest.approx((1.5 + 3.5) / 2)
    assert result[500, 500] == pytest.approx((1.5 + 3.5 + 9.5 + 11.5) / 4)
    assert result[0, 1400] == pytest.approx((5.5 + 7.5) / 2)  # 476 + 713 = 1189


def test_pspnet_at_all_scales():
    how = find_protocol("pspnet_voc_ms")
    assert how.scales == (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    seen, _ = watch(how, [noise(375, 500)])
    # Sides 256 x 192 to 896 x 672, in windows of 473 every 316.
    grids = [(1, 1), (1, 1), (1, 2), (2, 2), (2, 2), (2, 3)]
    assert len(seen) == 2 * sum(rows * columns for rows, columns in grids)
    tops = [256 - 192, 384 - 288]
    for inputs, gap in zip(seen[::2], tops, strict=False):
        inside = np.argwhere((inputs[0] != np.float32(MEAN)).any(-1))
        height = 192 if gap == 64 else 288
        width = height + gap
        top, left = (473 - height) // 2, (473 - width) // 2
        assert inside.min(0).tolist() == [top, left]
        assert inside.max(0).tolist() == [top + height - 1, left + width - 1]


def test_a_pixel_that_several_windows_see_counts_for_each_the_same():
    how = Inference(window=32, stride=20)
    seen, (wide, narrow) = watch(how, [noise(32, 60), noise(32, 40)])
    assert len(seen) == 3
    # Windows begin at 0, 20 and 28 of 60 columns, and at 0 and 8 of 40, where the third is not one.
    expected = np.repeat([1, 1.5, 2, 2.5, 3], [20, 8, 4, 20, 8])
    np.testing.assert_allclose(wide[5, :, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(narrow[5, :, 0], np.repeat([1, 1.5, 2], [8, 24, 8]), rtol=1e-6)


def one_by_one(image, how):
    """Predict as PSPNet's authors do, in NumPy: for each scale, for each window and its mirror."""
    (window, _), (stride, _) = how.window, how.stride
    height, width = image.shape[:2]
    results = []
    for scale in how.scales:
        longer = round(scale * how.longer_side)
        size = [math.floor(longer * n / max(height, width) + 0.5) for n in (height, width)]
        gaps = [max(window - n, 0) for n in size]
        before = [gap // 2 for gap in gaps]
        margins = [(start, gap - start) for start, gap in zip(before, gaps, strict=True)]
        shifted = interpolate(image.astype(float), size) - MEAN
        view = np.pad(shifted, [*margins, (0, 0)]) + MEAN
        total, count = np.zeros((*view.shape[:2], 5)), np.zeros((*view.shape[:2], 1))
        starts = [
            sorted({min(n, length - window) for n in range(0, length, stride)})
            for length in view.shape[:2]
        ]
        for top, left in itertools.product(*starts):
            part = np.s_[top : top + window, left : left + window]
            mirrored = run_network(view[part][:, ::-1], (window, window))[:, ::-1]
            total[part] += (run_network(view[part], (window, window)) + mirrored) / 2
            count[part] += 1
        (top, left), (rows, columns) = before, size
        mean = (total / count)[top : top + rows, left : left + columns]
        results.append(interpolate(mean, (height, width)))
    return np.mean(results, axis=0)


def test_batches_equal_windows_of_one_image_one_by_one():
    how = Inference((0.5, 1.25), flip=True, window=32, stride=22, longer_side=58)
    mesh = data_mesh(jax.devices()[:4])
    predictor = Predictor(tiny_pretrained(), inference=how, batch_size=4, mesh=mesh)
    source = random_source([(40, 60), (33, 64), (64, 50), (64, 64)])
    (batch,) = predictor.batches(source)
    arrays = shard_batch({"images": batch.images, "sizes": batch.sizes}, mesh)
    probabilities = np.asarray(predictor.probabilities(**arrays))
    for _, example, own in batch.cut(probabilities):
        np.testing.assert_allclose(own, one_by_one(example["image"], how), atol=2e-5)


def test_the_images_of_a_bucket_fit_into_its_canvas():
    how, shorter = (
        Inference(window=9, stride=9, **{s: 97}) for s in ("longer_side", "shorter_side")
    )
    for size in [(1, 32), (33, 64), (300, 500), (257, 320), (320, 257), (449, 500)]:
        longest, shortest = max(size), min(size)
        most = how.canvas(how.batch_shape(size), 1.0)
        assert all(
            round(97 * n / longest) <= side <= 128 for n, side in zip(size, most, strict=True)
        )
        if shortest > 32:
            most = shorter.canvas(shorter.batch_shape(size), 1.0)
            assert all(97 * n // shortest <= side for n, side in zip(size, most, strict=True))
    # 375 x 500 with a longer side of 512: at most 384 / 449 of it, so that one row of windows is
    # enough, as for that image alone.
    assert find_protocol("pspnet_voc").canvas((384, 512), 1.0) == (473, 512)
    with pytest.raises(UserError, match="scale 1 makes 128 x .* name smaller scales"):
        shorter.canvas((32, 16_384 * 32), 1.0)
    for size in range(1, 3000):
        least = smallest_in_bucket(bucket(size))
        assert least <= size
        assert bucket(least) == bucket(size) != bucket(max(least - 1, 1)) or least == 1


def test_labels_are_padded_as_images_are():
    source = random_source([(40, 60), (40, 60), (70, 33)])
    predictor = Predictor(tiny_pretrained(), inference=Inference(pad_to=50), batch_size=2)
    scores = evaluate(predictor, source).scores
    assert predictor.compiled_shapes == {(2, 50, 60), (2, 70, 50)}
    expected = np.zeros((5, 5), int)
    for _, example, found in predictor.predict(source):
        counted = example["label"] != 255
        np.add.at(expected, (example["label"][counted], found[counted]), 1)
    np.testing.assert_array_equal(scores.confusion_matrix, expected)


def test_crf_parameters_are_those_of_their_protocols():
    parameters = {
        name: dataclasses.astuple(how.crf) for name, (how, _) in PROTOCOLS.items() if how.crf
    }
    # Gaussian deviation and weight; bilateral deviations in space and colour, weight; iterations.
    v2 = (1, 3, 67, 3, 4, 10)
    assert parameters == {
        "deeplab_v1_voc_crf": (3, 3, 50, 10, 5, 10),
        "deeplab_v2_voc_crf": v2,
        "deeplab_v2_voc_pytorch_crf": v2,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stride": 3}, "stride is .3, 3.; it is for a window"),
        ({"stride": 33, "window": 32}, "no longer than it"),
        ({"stride": (20, 1), "window": 32}, "stride is .20, 1.; .* no shorter than 0.05 of it"),
        ({"stride": (1, 2, 3), "window": 32}, "stride is .1, 2, 3.; it is .height, width."),
        ({"longer_side": 5, "shorter_side": 9_000}, "9000; each has 1 to 8192 pixels"),
        ({"side_multiple": 32}, "side_multiple is 32; it is for a longer_side or a shorter_side"),
        ({"longer_side": 5, "side_multiple": 0}, "side_multiple is 0; it is for"),
        ({"longer_side": 0}, "longer_side is 0, shorter_side None"),
        ({"pad_to": 0}, "pad_to is .0, 0.; it is .height, width. in pixels"),
        ({"pad_to": 9_000}, "pad_to is .9000, 9000.; 8192 pixels are the most"),
        ({"pad_to": 513, "scales": (0.5, 1.0)}, "whole images at scale 1"),
        ({"pad_to": 513, "window": 32}, "whole images at scale 1"),
        ({"pad_to": 513, "shorter_side": 520}, "with a side only if 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Inference(**settings)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_large_images_are_refused_in_one_line(protocol):
    with pytest.raises(UserError, match="an image of 4000 x 3000 pixels .* not by a protocol"):
        large.plan((3_000, 4_000), find_protocol(protocol))


def read_flags(*words):
    values = flags.FlagValues()
    read = define_inference_flags(values)
    values(["verb", *words])
    return read()


def test_a_protocol_is_named_by_a_flag_and_goes_with_no_other():
    assert read_flags("--protocol=pspnet_voc_ms") == Inference(
        scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
        flip=True,
        window=473,
        stride=316,
        longer_side=512,
    )
    assert read_flags("--flip") == Inference(flip=True)
    for other in ("--flip", "--noflip", "--scales=1.0", "--window=5", "--overlap=0.5", "--crf=a"):
        name = other.replace("--no", "--").partition("=")[0]
        with pytest.raises(UserError, match=f"--protocol=fcn_voc says all of it; leave out {name}"):
            read_flags("--protocol=fcn_voc", other)
    with pytest.raises(UserError, match=r"unknown protocol 'pspnet_vok' \(did you mean pspnet_voc"):
        read_flags("--protocol=pspnet_vok")


def test_settings_in_a_file_name_those_of_a_protocol_and_no_others():
    plain = {"scales": (1.0,), "flip": False, "window": None, "overlap": 1 / 3, "crf": None}
    assert Inference().to_json() == plain
    assert find_protocol("deeplab_v1_voc").to_json() == plain | {"pad_to": (513, 513)}
    assert find_protocol("pspnet_cityscapes").to_json() == plain | {
        "flip": True,
        "window": (713, 713),
        "stride": (476, 476),
        "longer_side": 2048,
    }


def test_the_zoo_names_each_protocol_in_a_line_to_type_and_no_other():
    text = (Path(__file__).parents[2] / "docs/zoo.md").read_text()
    typed = re.findall(r"^gcn-jax evaluate .*--protocol (\w+)", text, re.MULTILINE)
    assert {*typed} == PROTOCOLS.keys()
    table = text.partition("| protocol |")[2].partition("\n\n")[0]
    assert {*re.findall(r"`(\w+)`", table)} == PROTOCOLS.keys()
