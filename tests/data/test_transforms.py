import numpy as np
import pytest
from PIL import Image, ImageEnhance

from gcn_jax.data.transforms import (
    Augment,
    gaussian_blur,
    jitter_colors,
    pad,
    rotate,
    scale_and_crop,
)
from gcn_jax.errors import UserError


def example(height=20, width=30, seed=0):
    """An image whose red channel is its label, so that misalignment shows."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 5, (height, width)).astype(np.uint8)
    image = np.stack([label * 40, label * 40, label * 40], axis=-1)
    return {"image": image, "label": label}


def test_paper_setting_pads_and_keeps_every_pixel():
    sample = example()
    out = Augment((24, 40), flip=False, fill=(123.675, 116.28, 103.53)).random_map(
        sample, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(out["image"][:20, :30], sample["image"])
    np.testing.assert_array_equal(out["label"][:20, :30], sample["label"])
    assert (out["label"][20:] == 255).all()
    assert (out["label"][:, 30:] == 255).all()
    np.testing.assert_array_equal(out["image"][23, 39], [124, 116, 104])


def test_what_is_off_draws_no_random_number():
    rng = np.random.default_rng(0)
    Augment((20, 30), flip=False).random_map(example(), rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_flip_mirrors_image_and_label_together_half_of_the_time():
    sample = example()
    augment = Augment((20, 30))
    outputs = [augment.random_map(sample, np.random.default_rng(i)) for i in range(64)]
    flipped = [np.array_equal(o["label"], sample["label"][:, ::-1]) for o in outputs]
    for out, is_flipped in zip(outputs, flipped, strict=True):
        expected = sample["image"][:, ::-1] if is_flipped else sample["image"]
        np.testing.assert_array_equal(out["image"], expected)
    assert 20 < sum(flipped) < 44


def test_crop_takes_the_same_window_of_both():
    sample = example()
    corners = set()
    for seed in range(50):
        image, label = scale_and_crop(
            sample["image"], sample["label"], 1.0, (8, 9), np.random.default_rng(seed)
        )
        assert label.shape == (8, 9)
        np.testing.assert_array_equal(image[..., 0], label * 40)
        corners.add(label.tobytes())
    assert len(corners) > 30  # of 13 x 22 places


def test_scaling_whole_image_equals_pillow():
    sample = example()
    image, label = scale_and_crop(
        sample["image"], sample["label"], 2.0, (99, 99), np.random.default_rng(0)
    )
    size = (60, 40)
    expected = Image.fromarray(sample["image"]).resize(size, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image, np.asarray(expected))
    # Nearest neighbour by hand: output pixel o lies over input pixel floor((o + 1/2) / 2).
    rows, columns = (np.arange(n) // 2 for n in (40, 60))
    np.testing.assert_array_equal(label, sample["label"][np.ix_(rows, columns)])


def test_scaled_crop_is_a_window_of_the_scaled_image():
    sample = example(40, 60)
    whole = np.asarray(Image.fromarray(sample["label"]).resize((120, 80), Image.Resampling.NEAREST))
    _, label = scale_and_crop(
        sample["image"], sample["label"], 2.0, (16, 16), np.random.default_rng(3)
    )
    windows = np.lib.stride_tricks.sliding_window_view(whole, (16, 16))
    assert (windows == label).all(axis=(2, 3)).any()


def test_labels_are_never_mixed_and_void_never_erased():
    label = np.full((30, 30), 255, np.uint8)
    label[10:20, 10:20] = 4
    image = np.zeros((30, 30, 3), np.uint8)
    augment = Augment((48, 48), scale=(0.3, 2.0), jitter=0.5)
    seen = set()
    for seed in range(30):
        out = augment.random_map({"image": image, "label": label}, np.random.default_rng(seed))
        assert out["label"].shape == (48, 48)
        assert out["image"].shape == (48, 48, 3)
        assert set(np.unique(out["label"])) <= {4, 255}
        seen.add(int((out["label"] == 4).sum()))
    assert len(seen) > 10  # the scale differs


def test_scale_is_log_uniform_within_its_range():
    sample = {"image": np.zeros((64, 64, 3), np.uint8), "label": np.zeros((64, 64), np.uint8)}
    augment = Augment((128, 128), scale=(0.5, 2.0), flip=False)
    sizes = [
        (augment.random_map(sample, np.random.default_rng(i))["label"][0] == 0).sum()
        for i in range(200)
    ]
    assert 32 <= min(sizes) < 36
    assert 120 < max(sizes) <= 128
    assert abs(np.mean(np.log2(np.array(sizes) / 64))) < 0.1


def test_jitter_equals_pillows_three_steps_where_nothing_is_clipped():
    image = np.random.default_rng(0).integers(80, 150, (9, 7, 3)).astype(np.uint8)
    for seed in range(20):
        factors = np.random.default_rng(seed).uniform(0.7, 1.3, 3)
        expected = Image.fromarray(image)
        for step, factor in zip(("Brightness", "Contrast", "Color"), factors, strict=True):
            expected = getattr(ImageEnhance, step)(expected).enhance(factor)
        actual = jitter_colors(image, 0.3, np.random.default_rng(seed))
        # Pillow rounds three times, and the mean and the grey too.
        np.testing.assert_allclose(actual.astype(int), np.asarray(expected).astype(int), atol=3)


@pytest.mark.parametrize("scale", [0.3, 0.51, 0.77, 1.3, 2.0])  # at 1/2, two are nearest
def test_image_and_label_stay_aligned_at_any_scale(scale):
    """A disc's centre of mass is at the same place in both, to a tenth of a pixel."""
    rows, columns = np.ogrid[:90, :120]
    label = ((rows - 40) ** 2 + (columns - 70) ** 2 < 30**2).astype(np.uint8)
    image = np.repeat(255 * label[..., None], 3, axis=-1)
    for crop_size in ((500, 500), (24, 30)):
        rng = np.random.default_rng(0)
        image_out, label_out = scale_and_crop(image, label, scale, crop_size, rng)
        assert image_out.shape[:2] == label_out.shape
        if crop_size[0] == 500:
            centers = [
                np.average(np.indices(weights.shape), axis=(1, 2), weights=weights)
                for weights in (image_out[..., 0], label_out)
            ]
            np.testing.assert_allclose(*[np.array(c) for c in centers], atol=0.1)
        # Pixels of the image that are surely inside or outside agree with the label.
        assert (label_out[image_out[..., 0] > 200] == 1).mean() > 0.99
        assert (label_out[image_out[..., 0] < 55] == 0).mean() > 0.99


def test_quarter_turns_equal_numpys():
    sample = example(20, 20)
    for turns in (-1, 1, 2):
        image, label = rotate(sample["image"], sample["label"], 90.0 * turns, (0, 0, 0))
        np.testing.assert_array_equal(image, np.rot90(sample["image"], turns))
        np.testing.assert_array_equal(label, np.rot90(sample["label"], turns))


def test_what_a_rotation_uncovers_is_fill_and_void():
    """A quarter turn of 21 x 31 pixels leaves 5 columns uncovered on either side."""
    image, label = np.full((21, 31, 3), 200, np.uint8), np.full((21, 31), 4, np.uint8)
    image, label = rotate(image, label, 90.0, (123.675, 116.28, 103.53))
    uncovered = np.zeros((21, 31), bool)
    uncovered[:, :5] = uncovered[:, -5:] = True
    np.testing.assert_array_equal(label, np.where(uncovered, 255, 4))
    np.testing.assert_array_equal(image[uncovered], np.full((210, 3), (124, 116, 104)))
    assert (image[~uncovered] == 200).all()


def test_rotation_keeps_image_and_label_aligned_and_turns_by_its_angle():
    """Centres of mass, against the turned ones: rows go down, so this turns against the clock."""
    rows, columns = np.ogrid[:91, :120]
    label = ((rows - 35) ** 2 + (columns - 75) ** 2 < 20**2).astype(np.uint8)
    image = np.repeat(255 * label[..., None], 3, axis=-1)
    for angle in (-10.0, 3.0, 10.0):
        image_out, label_out = rotate(image, label, angle, (0, 0, 0))
        # Above 3/4 of white the nearest pixel is white, too: its weight is 1/4 at least.
        assert (label_out[image_out[..., 0] > 192] == 1).all()
        assert (label_out[image_out[..., 0] < 63] != 1).all()
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        y, x = 35 - 45, 75 - 59.5
        expected = (45 + cos * y - sin * x, 59.5 + sin * y + cos * x)
        for weights in (image_out[..., 0], label_out == 1):
            center = np.average(np.indices(weights.shape), axis=(1, 2), weights=weights)
            np.testing.assert_allclose(center, expected, atol=0.1)


def test_rotation_has_probability_one_half_and_angles_of_its_range():
    """The slope of an edge that was level shows the angle."""
    label = np.repeat(np.arange(401)[:, None] >= 200, 401, axis=1).astype(np.uint8)
    sample = {"image": np.zeros((401, 401, 3), np.uint8), "label": label}
    augment = Augment((401, 401), flip=False, rotation=10.0)
    angles = []
    for seed in range(100):
        out = augment.random_map(sample, np.random.default_rng(seed))["label"]
        left, right = (np.argmax(out[:, column] == 1) for column in (50, 350))
        angles.append(np.degrees(np.arctan((left - right) / 300)))
    turned = np.array(angles)[np.array(angles) != 0]
    assert 35 < len(turned) < 65
    assert -10.5 < turned.min() < -8
    assert 8 < turned.max() < 10.5


def test_what_a_random_rotation_uncovers_has_the_colour_of_padding():
    sample = {"image": np.full((20, 30, 3), 200, np.uint8), "label": np.zeros((20, 30), np.uint8)}
    augment = Augment((20, 30), flip=False, rotation=180.0, fill=(1.0, 2.0, 3.0))
    outputs = [augment.random_map(sample, np.random.default_rng(seed)) for seed in range(8)]
    turned = [out["image"] for out in outputs if (out["label"] == 255).any()]
    assert turned
    assert all((image == (1, 2, 3)).all(axis=-1).any() for image in turned)


def test_blur_of_an_impulse_is_the_binomial_kernel():
    image = np.zeros((9, 9, 3), np.uint8)
    image[4, 4] = 256 - 1
    weights = np.array([0, 0, 1, 4, 6, 4, 1, 0, 0]) / 16
    expected = 255 * np.outer(weights, weights)[..., None].repeat(3, axis=-1)
    np.testing.assert_allclose(gaussian_blur(image), expected, atol=0.51)


def test_blur_changes_half_of_the_images_and_no_label():
    sample = example()
    augment = Augment((20, 30), flip=False, blur=True)
    blurred = gaussian_blur(sample["image"])
    assert not np.array_equal(blurred, sample["image"])
    count = 0
    for seed in range(64):
        out = augment.random_map(sample, np.random.default_rng(seed))
        np.testing.assert_array_equal(out["label"], sample["label"])
        is_blurred = np.array_equal(out["image"], blurred)
        assert is_blurred or np.array_equal(out["image"], sample["image"])
        count += is_blurred
    assert 20 < count < 44


def test_jitter_clips_at_white_and_black():
    image = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    for seed in range(20):
        out = jitter_colors(image, 1.0, np.random.default_rng(seed))
        assert out[0, 0].max() <= out[0, 1].min()  # never wraps around


def test_jitter_keeps_within_its_bounds_and_leaves_the_input():
    image = np.full((4, 4, 3), 100, np.uint8)
    before = image.copy()
    means = [jitter_colors(image, 0.2, np.random.default_rng(i)).mean() for i in range(50)]
    assert min(means) >= 79
    assert max(means) <= 121
    assert np.std(means) > 5
    np.testing.assert_array_equal(image, before)


def test_same_generator_same_result():
    augment = Augment((16, 16), scale=(0.5, 2.0), jitter=0.3)
    a, b = (augment.random_map(example(), np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(a["image"], b["image"])
    np.testing.assert_array_equal(a["label"], b["label"])


def test_pad_returns_full_size_as_it_is():
    sample = example()
    image, label = pad(sample["image"], sample["label"], (20, 30), (0, 0, 0))
    assert image is sample["image"]
    assert label is sample["label"]


@pytest.mark.parametrize(
    "fields",
    [
        {"crop_size": (0, 8)},
        {"crop_size": 8},
        {"crop_size": (8,)},
        {"crop_size": (8, 8, 3)},
        {"crop_size": ("8", "8")},
        {"crop_size": (8, 8), "scale": 2.0},
        {"crop_size": (8, 8), "scale": (2.0, 1.0)},
        {"crop_size": (8, 8), "jitter": 1.5},
        {"crop_size": (8, 8), "rotation": -10.0},
        {"crop_size": (8, 8), "rotation": 190.0},
    ],
)
def test_impossible_settings_are_refused(fields):
    with pytest.raises(UserError, match="augment"):
        Augment(**fields)


def turned(sample, **switches):
    """What comes out of 64 seeds, as the labels' bytes and shapes; the image must go along."""
    outputs = []
    for seed in range(64):
        augment = Augment((30, 30), flip=False, **switches)
        out = augment.random_map(sample, np.random.default_rng(seed))
        inside = out["label"] != 255
        np.testing.assert_array_equal(out["image"][inside][:, 0], out["label"][inside] * 40)
        rows, columns = inside.any(1).sum(), inside.any(0).sum()
        outputs.append(out["label"][:rows, :columns])
    return outputs


def test_vertical_flip_mirrors_top_and_bottom_half_of_the_time():
    sample = example(30, 30)
    outputs = turned(sample, vertical_flip=True)
    flipped = [np.array_equal(label, sample["label"][::-1]) for label in outputs]
    kept = [np.array_equal(label, sample["label"]) for label in outputs]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 20 < sum(flipped) < 44


def test_quarter_turns_are_all_as_likely_and_turn_what_is_not_square():
    sample = example()
    outputs = turned(sample, quarter_turns=True)
    expected = [np.rot90(sample["label"], k) for k in range(4)]
    counts = [sum(np.array_equal(label, one) for label in outputs) for one in expected]
    assert sum(counts) == 64
    assert min(counts) >= 8


def test_crop_is_taken_from_the_turned_image():
    augment = Augment((30, 10), flip=False, quarter_turns=True)
    voids = set()
    for seed in range(32):
        out = augment.random_map(example(), np.random.default_rng(seed))
        assert out["label"].shape == (30, 10)
        voids.add(int((out["label"] == 255).sum()))
    assert voids == {0, 100}  # 30 x 20 px fill the crop, of 20 x 30 px ten rows are missing


EVERYTHING = {
    "scale": (0.4, 2.0),
    "rotation": 10.0,
    "blur": True,
    "vertical_flip": True,
    "quarter_turns": True,
}


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_each_of_any_channels_is_treated_as_one_of_three(channels):
    """But for the jitter, whose saturation is of colours."""
    for seed in range(12):
        rgb = example(seed=seed)
        rgb["image"] = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        order = np.arange(channels) % 3
        some = {"image": rgb["image"][..., order], "label": rgb["label"]}
        fill = np.array([200.0, 100.0, 50.0])
        outputs = [
            Augment((24, 26), fill=tuple(color), **EVERYTHING).random_map(
                one, np.random.default_rng(seed)
            )
            for one, color in ((rgb, fill), (some, fill[order]))
        ]
        np.testing.assert_array_equal(outputs[1]["image"], outputs[0]["image"][..., order])
        np.testing.assert_array_equal(outputs[1]["label"], outputs[0]["label"])


def test_jitter_of_other_channels_is_brightness_and_contrast():
    image = np.random.default_rng(0).integers(80, 150, (9, 7, 4)).astype(np.uint8)
    brightness, contrast, _ = np.random.default_rng(5).uniform(0.8, 1.2, 3)
    bright = image * brightness
    expected = bright.mean() + contrast * (bright - bright.mean())
    out = jitter_colors(image, 0.2, np.random.default_rng(5))
    np.testing.assert_array_equal(out, np.rint(expected))


def test_16_bits_are_augmented_as_8_bits_are_and_keep_their_levels():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (40, 50), np.uint8)
    image = rng.integers(0, 256, (40, 50, 5), np.uint8)
    finer = image.astype(np.uint16) * 257
    steps = ({"rotation": 10.0}, {"scale": (0.4, 0.6)}, {"scale": (1.5, 1.7)}, {"blur": True},
             {"jitter": 0.3}, {"quarter_turns": True}, {"vertical_flip": True})  # fmt: skip
    for step in steps:
        augment = Augment((48, 64), fill=(10.25, 200, 0, 255, 7), **step)
        for seed in range(4):
            one, other = (
                augment.random_map({"image": x, "label": label, "id": ""},
                                   np.random.default_rng(seed))
                for x in (image, finer)
            )  # fmt: skip
            assert other["image"].dtype == np.uint16
            np.testing.assert_array_equal(one["label"], other["label"])
            # 8 bits are rounded; OpenCV's weights of a rotation have 5 bits.
            np.testing.assert_allclose(one["image"], other["image"] / 257, atol=1.01)
    padded = Augment((48, 64), flip=False, fill=(10.25,) * 5).random_map(
        {"image": finer, "label": label, "id": ""}, rng
    )
    assert set(padded["image"][40:].ravel().tolist()) == {10 * 257}
