import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import decoding, files, images
from gcn_jax.errors import UserError
from tests.helpers.png import png_chunk, raw_png

LABEL = np.array([[0, 1, 2], [255, 20, 0]], np.uint8)


@pytest.mark.parametrize("mode", ["P", "L"])
def test_mask_gives_indices_whatever_the_palette(tmp_path, mode):
    mask = Image.fromarray(LABEL, mode)
    if mode == "P":
        mask.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] + 253 * [7, 7, 7])
    mask.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "mask.png"), LABEL)


def test_sixteen_bit_and_bilevel_masks(tmp_path):
    Image.fromarray(LABEL.astype(np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "deep.png"), LABEL)
    Image.fromarray(LABEL == 1).save(tmp_path / "flat.png")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "flat.png"), LABEL == 1)
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(tmp_path / "high.png")
    with pytest.raises(UserError, match=r"high.png: mask values reach 300"):
        files.read_mask(tmp_path / "high.png")


@pytest.mark.parametrize(
    ("depth", "row", "values"),
    [(1, b"\x50", [0, 1, 0, 1]), (2, b"\x1b", [0, 1, 2, 3]), (4, b"\x01\x2f", [0, 1, 2, 15])],
)
def test_grey_masks_of_few_bits_keep_their_values(tmp_path, depth, row, values):
    header = struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)
    (tmp_path / "few.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0" + row))
        + png_chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(files.read_mask(tmp_path / "few.png"), [values])


@pytest.mark.parametrize("bits", [2, 4])
def test_palette_masks_of_few_bits_keep_their_values(tmp_path, bits):
    label = np.arange(2**bits, dtype=np.uint8)[None]
    mask = Image.fromarray(label, "P")
    mask.putpalette([7, 8, 9] * 2**bits)
    mask.save(tmp_path / "few.png", bits=bits)
    assert (tmp_path / "few.png").read_bytes()[24] == bits
    np.testing.assert_array_equal(files.read_mask(tmp_path / "few.png"), label)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["three equal channels", "full alpha", "both"])
def test_grey_masks_in_disguise(tmp_path, kind, depth):
    grey = LABEL.astype(depth)
    alpha = np.full_like(grey, np.iinfo(depth).max)
    channels = {"three equal channels": [grey] * 3, "full alpha": [grey, alpha]}
    stack = np.dstack(channels.get(kind, [grey, grey, grey, alpha]))
    path = tmp_path / "mask.png"
    path.write_bytes(raw_png(stack))
    np.testing.assert_array_equal(files.read_mask(path), LABEL)
    if "alpha" in kind or kind == "both":
        stack[0, 0, -1] = 7
        path.write_bytes(raw_png(stack))
        with pytest.raises(UserError, match="transparent pixels|a colour image"):
            files.read_mask(path)


def test_a_gif_gives_its_indices_unless_they_are_greys_renumbered(tmp_path):
    path = tmp_path / "mask.gif"
    mask = Image.fromarray(LABEL % 3, "P")
    mask.putpalette([0, 0, 0, 255, 255, 255, 0, 128, 0])
    mask.save(path)
    np.testing.assert_array_equal(files.read_mask(path), LABEL % 3)
    Image.fromarray(LABEL).save(path)
    with pytest.raises(UserError, match=r"mask.gif: a GIF of greys .* \(20 is 3, 255 is 4\)"):
        files.read_mask(path)
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(path)
    with pytest.raises(UserError, match=r"mask.gif: a GIF of greys .* \(255 is 2\)"):
        files.read_mask(path)
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    assert files.read_mask(path).tolist() == [[0, 1]]


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".png", ".webp"])
def test_masks_in_every_lossless_format(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    Image.fromarray(LABEL).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(files.read_mask(path), LABEL)


@pytest.mark.parametrize(
    ("name", "options"), [("a.jpg", {}), ("a.webp", {}), ("a.tif", {"compression": "jpeg"})]
)
def test_masks_compressed_with_losses_are_refused(tmp_path, name, options):
    Image.fromarray(LABEL).convert("RGB").save(tmp_path / name, **options)
    with pytest.raises(UserError, match=f"{name}: a .* changes the class numbers along edges"):
        files.read_mask(tmp_path / name)


def packed(values, bits):
    """Rows of whole numbers of few bits, each padded to bytes."""
    places = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(places.reshape(len(values), -1).astype(np.uint8), axis=1)


def tiff(values, bits, zero_is_white):
    """A TIFF of one strip without compression, which Pillow cannot write with few bits."""
    data = packed(values, bits).tobytes()
    tags = {256: values.shape[1], 257: values.shape[0], 258: bits, 259: 1, 262: not zero_is_white}
    tags |= {273: 8, 277: 1, 278: values.shape[0], 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    place = struct.pack("<I", 8 + len(data))
    return b"II*\0" + place + data + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_tiffs_give_the_numbers_that_they_store(tmp_path, bits):
    values = np.arange(16).reshape(2, 8) % 2**bits
    (tmp_path / "a.tif").write_bytes(tiff(values, bits, zero_is_white=False))
    np.testing.assert_array_equal(files.read_mask(tmp_path / "a.tif"), values)
    (tmp_path / "b.tif").write_bytes(tiff(values, bits, zero_is_white=True))
    if bits == 1:  # of black and white, white is what a mask marks
        np.testing.assert_array_equal(files.read_mask(tmp_path / "b.tif"), 1 - values)
    else:
        with pytest.raises(UserError, match="greys of which 0 is white"):
            files.read_mask(tmp_path / "b.tif")


def bmp(values, bits, greys):
    """A BMP without compression, of a palette of greys."""
    rows = packed(values[::-1], bits)
    data = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in greys)
    sizes = values.shape[1], values.shape[0], 1, bits, 0, len(data), 0, 0, len(greys), 0
    place = 54 + len(palette)
    head = b"BM" + struct.pack("<IIIIiiHHIIiiII", place + len(data), 0, place, 40, *sizes)
    return head + palette + data


@pytest.mark.parametrize(
    ("bits", "greys", "is_read"),
    [
        (1, (0, 255), True),
        (4, range(0, 256, 17), True),
        (4, range(16), False),  # Pillow takes their bits for those of other depths
        (8, (0, 255), False),
        (8, range(8), True),
    ],
)
def test_bmps_give_their_numbers_or_are_refused(tmp_path, bits, greys, is_read):
    values = np.arange(8).reshape(2, 4) % len(greys)
    (tmp_path / "a.bmp").write_bytes(bmp(values, bits, greys))
    if is_read:
        np.testing.assert_array_equal(files.read_mask(tmp_path / "a.bmp"), values)
    else:
        with pytest.raises(UserError, match=f"a BMP of greys of {bits} bits; save it as PNG"):
            files.read_mask(tmp_path / "a.bmp")


def test_a_small_file_of_very_many_pixels_is_refused(tmp_path, monkeypatch):
    """An array of them, and the copies on the way to it, would take more than a GiB."""
    Image.new("RGB", (100, 50)).save(tmp_path / "a.png")
    Image.new("L", (100, 50)).save(tmp_path / "b.png")
    monkeypatch.setattr(decoding, "_MOST_MEMORY", 11 * 100 * 50 - 1)
    for name in ("a.png", "b.png"):
        with pytest.raises(UserError, match=rf"{name}: 100 x 50 pixels in \d+ bytes"):
            images.read_image(tmp_path / name)
    with pytest.raises(UserError, match="a.png: 100 x 50 pixels in"):
        files.read_mask(tmp_path / "a.png")
    assert files.read_mask(tmp_path / "b.png").shape == (50, 100)  # one byte each
    monkeypatch.setattr(decoding, "_SMALL", 10)
    assert images.read_image(tmp_path / "a.png").shape == (50, 100, 3)


@pytest.mark.parametrize("depth", [np.uint8, np.int64, np.uint16])
def test_arrays_of_whole_numbers_are_masks(tmp_path, depth):
    np.save(tmp_path / "mask.npy", LABEL.astype(depth))
    np.testing.assert_array_equal(files.read_mask(tmp_path / "mask.npy"), LABEL)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\) and type float64"),
        (np.zeros((2, 3, 1), np.uint8), r"shape \(2, 3, 1\)"),
        (np.array([[0, -1]]), "mask values reach -1"),
        (np.array([[None]]), "not a readable array"),
    ],
)
def test_arrays_that_are_no_masks(tmp_path, array, message):
    np.save(tmp_path / "mask.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match=message):
        files.read_mask(tmp_path / "mask.npy")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4, as archives begin",
        b"\x93NUMPY\1\0\20\0{'shape': (3, 4 \n",
        b"\x93NUMPY\1\0\20\0" + b"(" * 15 + b"\n",
    ],
)
def test_files_that_are_no_arrays(tmp_path, content):
    (tmp_path / "mask.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"mask\.npy: not a readable array"):
        files.read_mask(tmp_path / "mask.npy")


def test_an_array_that_promises_more_than_its_file_has_takes_no_memory(tmp_path):
    promise = {"descr": "|u1", "fortran_order": False, "shape": (10**5, 10**6)}
    with (tmp_path / "mask.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, promise)
        file.write(b"0" * 100)
    with pytest.raises(UserError, match="not a readable array .*mmap length is greater"):
        files.read_mask(tmp_path / "mask.npy")


def test_void_labels_are_values_of_the_file(tmp_path):
    np.save(tmp_path / "mask.npy", np.array([[0, -1, 65535, 11]]))
    mask, facts = files.load_mask(tmp_path / "mask.npy", (-1, 65535, 11))
    assert mask.tolist() == [[0, 255, 255, 255]]
    assert facts.values == (-1, 0, 11, 65535)


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_files_of_several_frames_are_refused(tmp_path, suffix):
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (0, 90)]
    path = tmp_path / f"many{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    for read in (images.read_image, files.read_mask):
        with pytest.raises(UserError, match=rf"many{suffix}: 2 frames or pages in one file"):
            read(path)


def test_a_reduced_copy_within_a_tiff_is_no_picture_of_its_own(tmp_path):
    whole, reduced = Image.fromarray(LABEL), Image.fromarray(LABEL[:1])
    reduced.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "pyramid.tif", save_all=True, append_images=[reduced])
    with Image.open(tmp_path / "pyramid.tif") as image:
        assert image.n_frames == 2
    np.testing.assert_array_equal(files.read_mask(tmp_path / "pyramid.tif"), LABEL)


def test_palette_facts_are_colours_that_only_one_value_has(tmp_path):
    mask = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8), "P")
    mask.putpalette([0, 0, 0, 128, 0, 0, 7, 7, 7, 7, 7, 7])
    mask.save(tmp_path / "mask.png")
    _, facts = files.load_mask(tmp_path / "mask.png")
    assert facts == ((0, 1, 2, 3), {0: (0, 0, 0), 1: (128, 0, 0)})


def test_facts_of_an_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4), (9, 1, 200)).save(tmp_path / "turned.png", exif=exif)
    image, facts = images.load_image(tmp_path / "turned.png")
    assert image.shape == (6, 4, 3)
    assert facts == (False, 200, 6, None)
    Image.fromarray(np.full((2, 2), 4095, np.uint16)).save(tmp_path / "deep.png")
    assert images.load_image(tmp_path / "deep.png")[1] == (True, 15, 1, 4095)
    (tmp_path / "deep_rgb.png").write_bytes(raw_png(np.full((2, 2, 3), 4095, np.uint16)))
    assert images.load_image(tmp_path / "deep_rgb.png")[1] == (True, 15, 1, None)


def test_colour_mask_is_refused_by_name(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "colour.png")
    with pytest.raises(UserError, match=r"colour.png: a colour image \(mode RGB\)"):
        files.read_mask(tmp_path / "colour.png")


def test_missing_truncated_and_wrong_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none.jpg: no such file"):
        images.read_image(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(UserError, match=r"text.jpg: not a readable image"):
        images.read_image(tmp_path / "text.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut.png: not a readable image"):
        images.read_image(tmp_path / "cut.png")


def test_images_that_cannot_become_rgb_are_refused(tmp_path, monkeypatch):
    for mode in ("F", "I"):
        Image.new(mode, (4, 4)).save(tmp_path / f"{mode}.tif")
        with pytest.raises(UserError, match=rf"{mode}.tif: 32-bit pixels \(mode {mode}\)"):
            images.read_image(tmp_path / f"{mode}.tif")
    Image.new("L", (8, 8)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match=r"huge.png: not a readable image .*exceeds limit"):
        images.read_image(tmp_path / "huge.png")


def test_mode_that_pillow_cannot_convert_is_named(tmp_path, monkeypatch):
    (tmp_path / "odd.tif").touch()
    monkeypatch.setattr(Image, "open", lambda file: Image.new("La", (4, 4)))
    with pytest.raises(UserError, match=r"odd.tif: not a readable image \(conversion from La"):
        images.read_image(tmp_path / "odd.tif")


def test_images_of_every_mode_become_rgb(tmp_path):
    grey = np.array([[10, 200]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(images.read_image(tmp_path / "grey.png"), expected)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "deep.png"), expected)
    Image.fromarray(np.dstack([expected, grey])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "alpha.png"), expected)


def test_image_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    Image.new("RGB", (6, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert images.read_image(tmp_path / "turned.jpg").shape == (6, 4, 3)


def test_pair_of_different_sizes_or_with_unknown_labels():
    image = np.zeros((2, 3, 3), np.uint8)

    def problems(*arguments):
        return [(problem.kind, str(problem)) for problem in files.pair_problems(image, *arguments)]

    assert problems(LABEL, 21, "ok.png") == []
    ((kind, message),) = problems(LABEL[:, :2], 21, "a.png")
    assert kind == "size mismatch"
    assert message.startswith("a.png: the mask is 2x2 pixels, its image 3x2")
    ((kind, message),) = problems(LABEL, 20, "b.png")
    assert kind == "label out of range"
    assert message.startswith("b.png: label 20 (1 px) where the 20 classes are 0..19")
    assert [kind for kind, _ in problems(LABEL[1:], 20, "both.png")] == [
        "size mismatch",
        "label out of range",
    ]
