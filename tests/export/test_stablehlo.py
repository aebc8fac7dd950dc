"""Exported programs, in this process and in one that has nothing but jax."""

import json
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

from gcn_jax import __version__, export
from gcn_jax.errors import UserError
from gcn_jax.export.archive import Archive, read_archive, write_archive
from gcn_jax.export.images import make_batches
from gcn_jax.export.stablehlo import write_stablehlo
from gcn_jax.export.target import Target, make_target
from gcn_jax.models.registry import TINY_MODELS
from gcn_jax.workdir import Origin
from tests.helpers.exported import logits_of, photos, pretrained
from tests.helpers.networks import tiny
from tests.helpers.runs import INFO

ORIGIN = Origin("hf://a/b", "00", "a family", "MIT", "https://example.org")


def exported(model, path, outputs=("labels", "logits"), origin=None):
    """Export a model with random weights; return it, and the differences."""
    source = pretrained(model)
    batches = make_batches([*photos(3, 60, 90)], 32, INFO.mean)
    return source, write_stablehlo(make_target(source, outputs, origin), path, batches)


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.stablehlo"
    return path, *exported(tiny("_tiny"), path, origin=ORIGIN)


def test_the_file_gives_the_logits_and_labels_of_the_model(tiny_file):
    path, source, differences = tiny_file
    segment = export.load(path)
    for shape in ((2, 64, 32), (1, 32, 128)):  # neither were in the batches
        images = photos(*shape, seed=1)
        expected = logits_of(source, images)
        spread = expected.max() - expected.min()
        assert spread > 1
        logits = np.asarray(segment(images, "logits"))
        np.testing.assert_allclose(logits, expected, atol=1e-5 * spread)
        labels = np.asarray(segment(images))
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, logits.argmax(-1))
    assert [d.output for d in differences] == ["labels", "logits"]
    assert all(d.share < 1e-5 and d.pixels == 3 * 64 * 96 + 32 * 64 for d in differences)


def test_any_size_is_padded_with_the_mean_colour(tiny_file):
    path, source, _ = tiny_file
    images = photos(1, 33, 40)
    padded = np.empty((1, 64, 64, 3), np.uint8)
    padded[...] = (100, 110, 120)
    padded[:, :33, :40] = images
    logits = np.asarray(export.load(path)(images, "logits"))
    expected = logits_of(source, padded)[:, :33, :40]
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.ptp(expected))


def test_programs_are_for_all_platforms_and_hold_no_weights(tiny_file):
    path, source, _ = tiny_file
    archive = read_archive(path)
    for kind, serialized in archive.programs.items():
        program = jax.export.deserialize(bytearray(serialized))
        assert program.platforms == ("cpu", "cuda", "tpu")
        *_, images = program.in_avals
        assert str(images) == "uint8[b,32*h,32*w,3]"
        assert len(program.in_avals) == 1 + len(jax.tree.leaves(source.variables))
        text = program.mlir_module()
        assert "stablehlo.convolution" in text
        # Deconvolutions are products of pixels on a CPU, and one operation elsewhere.
        assert "lhs_dilate = [2, 2]" in text
        constants = [line for line in text.splitlines() if 'dense<"0x' in line]
        assert not constants, kind


def test_the_file_says_what_the_model_is(tiny_file):
    path, *_ = tiny_file
    segment = export.load(path)
    assert segment.class_names == ("background", "square", "disc")
    np.testing.assert_array_equal(segment.palette, [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    assert segment.outputs == ("labels", "logits")
    about = segment.metadata
    assert about["gcn_jax"] == __version__
    assert about["jax"] == jax.__version__
    assert about["model"] == "_tiny"
    assert about["step"] == 7
    assert about["mean"] == [100, 110, 120]
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    assert about["origin"]["licence"] == "MIT"


def test_numpy_reads_the_weights(tiny_file):
    path, source, _ = tiny_file
    kernel = source.variables["params"]["gcn5"]["left_k1"]["kernel"]
    np.testing.assert_array_equal(np.load(path)["weights/params/gcn5/left_k1/kernel"], kernel)


def test_loading_needs_jax_alone(tiny_file, tmp_path):
    path, source, _ = tiny_file
    images = photos(1, 32, 32)
    np.save(tmp_path / "images.npy", images)
    code = f"""
import sys, numpy
from importlib.machinery import PathFinder
class Refuse(PathFinder):
    def find_spec(name, path=None, target=None):
        if name in ("flax", "orbax", "grain", "optax", "ml_collections", "cv2", "PIL", "psutil"):
            raise ImportError(name + " is not for deployers")
sys.meta_path.insert(0, Refuse)
import gcn_jax.export
out = gcn_jax.export.load({str(path)!r})(numpy.load("images.npy"), "logits")
numpy.save("logits.npy", out)
top = {{name.partition(".")[0] for name in sys.modules}}
print(*sorted(top & {{"flax", "orbax", "grain", "rich", "absl"}}))
"""
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "JAX_PLATFORMS": "cpu"}
    out = subprocess.check_output(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True
    )
    assert out.split() == []
    expected = logits_of(source, images)
    found = np.load(tmp_path / "logits.npy")
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(expected))


def test_a_model_of_bfloat16_is_exported_in_float32(tmp_path):
    source, _ = exported(tiny("_tiny", dtype="bfloat16"), tmp_path / "a", outputs=("logits",))
    images = photos(1, 32, 32)
    expected = logits_of(source._replace(model=tiny("_tiny")), images)
    segment = export.load(tmp_path / "a")
    np.testing.assert_allclose(segment(images), expected, atol=1e-5 * np.ptp(expected))
    with pytest.raises(UserError, match="unknown output of this file 'labels'"):
        segment(images, "labels")


def linear(weights, images):
    """Score three classes of a pixel by its colours."""
    return images.astype(np.float32) * weights["factor"][None, None, None]


def labels(weights, images):
    return jax.numpy.argmax(linear(weights, images), axis=-1).astype(np.int32)


def linear_target(**functions):
    """Return a target that says it is `linear`, and writes other functions."""
    about = {"multiple": 32, "mean": [0, 0, 0], "class_names": [], "palette": []}
    about |= {"outputs": [*functions], "image_dtype": "uint8"}
    return Target({"factor": np.float32([1, 2, 3])}, functions, about, linear)


def test_a_file_that_is_not_the_model_is_not_left(tmp_path):
    images = np.zeros((1, 32, 32, 3), np.uint8)
    images[..., 0] = 10  # logits are 10, 0, 0
    images[0, 0, 0] = (0, 4, 5)  # 0, 8, 15, of a spread of 15
    right = linear_target(logits=linear, labels=labels)
    logits, classes = write_stablehlo(right, tmp_path / "right", [images])
    assert logits == ("logits", 0, 1024, 0)
    assert classes == ("labels", 0, 1024, 0)
    (tmp_path / "right").unlink()

    def shifted(by):
        return lambda weights, images: linear(weights, images).at[0, 0, 0, 0].add(by * 15)

    (near,) = write_stablehlo(linear_target(logits=shifted(9e-4)), tmp_path / "near", [images])
    assert near.share == pytest.approx(9e-4)
    (tmp_path / "near").unlink()
    wrong = {
        r"logits: .* 2\.0e-03 of": {"logits": shifted(2e-3)},
        r"logits: .* nan of": {"logits": shifted(np.nan)},
        # Class 1 for 2: 7 of 15.
        r"labels: .* 4\.7e-01 of .* 1 of 1024 pixels": {
            "labels": lambda weights, images: labels(weights, images) // 2
        },
    }
    for message, functions in wrong.items():
        with pytest.raises(UserError, match=f"no file is left: {message}"):
            write_stablehlo(linear_target(**functions), tmp_path / "wrong", [images])
    assert [*tmp_path.iterdir()] == []


def test_images_of_another_kind_are_refused(tiny_file):
    segment = export.load(tiny_file[0])
    for images in (photos(32, 32), photos(1, 32, 32)[..., :1], photos(1, 32, 32) / 255):
        with pytest.raises(UserError, match="they must be uint8"):
            segment(images)


def test_damage_is_one_line(tiny_file, tmp_path):
    content = tiny_file[0].read_bytes()
    copy = tmp_path / "copy"
    rng = np.random.default_rng(0)
    found = 0
    for place in rng.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        copy.write_bytes(damaged)
        try:
            read_archive(copy)
        except UserError as error:
            found += str(copy) in str(error) and "\n" not in str(error)
    assert found >= 55  # what is left are dates and the like in the archive's own tables
    for cut in (0, 10, len(content) // 2, len(content) - 1):
        copy.write_bytes(content[:cut])
        with pytest.raises(UserError, match="is damaged"):
            read_archive(copy)


def rewritten(path, copy, change):
    """Write a copy of an archive whose members a function has changed."""
    with zipfile.ZipFile(path) as members:
        content = {name: members.read(name) for name in members.namelist()}
    change(content)
    with zipfile.ZipFile(copy, "w") as members:
        for name, data in content.items():
            members.writestr(name, data)
    return copy


def test_what_a_digest_finds_that_the_archive_does_not(tiny_file, tmp_path):
    def drop(content):
        del content["programs/labels"]

    def change(content):
        content["weights/preprocessing/mean.npy"] = content["weights/preprocessing/std.npy"]

    for damage, name in ((drop, "programs/labels"), (change, "weights/preprocessing/mean.npy")):
        copy = rewritten(tiny_file[0], tmp_path / "copy", damage)
        with pytest.raises(UserError, match=f"is damaged: {name} is not what was written"):
            export.load(copy)


def test_other_files_are_no_exports(tiny_file, tmp_path):
    with pytest.raises(UserError, match="missing cannot be read: No such file"):
        export.load(tmp_path / "missing")
    (tmp_path / "text").write_text("words")
    with pytest.raises(UserError, match="text is damaged, or no exported model"):
        export.load(tmp_path / "text")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(UserError, match="is no exported model of gcn_jax"):
        export.load(tmp_path / "other.npz")

    def newer(content):
        metadata = json.loads(content["metadata.json"])
        content["metadata.json"] = json.dumps({**metadata, "format_version": 2}).encode()

    with pytest.raises(UserError, match=f"is of a newer gcn_jax \\({__version__}\\)"):
        export.load(rewritten(tiny_file[0], tmp_path / "newer", newer))


def test_the_same_model_makes_the_same_bytes(tmp_path):
    archive = Archive({}, {"logits": b"program"}, {"a": np.float32([1, 2])})
    for name in "ab":
        with (tmp_path / name).open("wb") as file:
            write_archive(file, archive)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TINY_MODELS if name != "_tiny"])
def test_every_network_is_exported_for_every_size(name, tmp_path):
    source, differences = exported(tiny(name), tmp_path / name)
    assert all(difference.share < 1e-5 for difference in differences)
    weights = read_archive(tmp_path / name).weights
    assert {weight for weight in weights if "auxiliary_head" in weight} == set()
    segment = export.load(tmp_path / name)
    for shape in ((1, 96, 32), (2, 32, 224)):
        images = photos(*shape, seed=2)
        expected = logits_of(source, images)
        logits = np.asarray(segment(images, "logits"))
        np.testing.assert_allclose(logits, expected, atol=2e-5 * np.ptp(expected))
