"""ONNX files, run by onnxruntime."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax import __version__
from gcn_jax.errors import UserError
from gcn_jax.export.images import make_batches
from gcn_jax.export.onnx_file import write_onnx
from gcn_jax.export.program import pad
from gcn_jax.export.target import make_target
from gcn_jax.models.layers import attend, gelu
from gcn_jax.models.registry import TINY_MODELS
from tests.helpers.exported import logits_of, photos, pretrained
from tests.helpers.networks import tiny
from tests.helpers.random_values import normal
from tests.helpers.runs import INFO

REASON = "ONNX is not installed: pip install 'gcn-jax[onnx]'"
onnx = pytest.importorskip("onnx", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)


def session_of(model):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def exported(model, path, outputs=("labels", "logits"), size=None, seed=0):
    source = pretrained(model)
    batches = make_batches([*photos(3, 64, 96, seed=seed)], 32, INFO.mean, size)
    return source, write_onnx(make_target(source, outputs), path, batches, size)


def check_logits(session, source, *shape, multiple=1):
    images = photos(*shape, seed=1)
    padded = pad(images, multiple, INFO.mean)
    expected = logits_of(source, padded)[:, : shape[1], : shape[2]]
    labels, logits = session.run(["labels", "logits"], {"images": images})
    np.testing.assert_allclose(logits, expected, atol=2e-5 * np.ptp(expected))
    np.testing.assert_array_equal(labels, logits.argmax(-1))
    assert labels.dtype == np.int32


def test_the_file_gives_the_logits_and_labels_of_the_model_for_any_batch(tmp_path):
    source, differences = exported(tiny("_tiny"), tmp_path / "tiny.onnx", size=(64, 96))
    assert all(d.share < 1e-5 and d.pixels == 7 * 64 * 96 for d in differences)
    session = session_of(tmp_path / "tiny.onnx")
    check_logits(session, source, 5, 64, 96)
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape) == (
        "images",
        "tensor(uint8)",
        ["N", 64, 96, 3],
    )
    assert [output.shape for output in session.get_outputs()] == [
        ["N", 64, 96],
        ["N", 64, 96, 3],
    ]
    about = session.get_modelmeta()
    assert about.producer_name == "gcn_jax"
    said = {key: json.loads(value) for key, value in about.custom_metadata_map.items()}
    assert said["gcn_jax"] == __version__
    assert said["class_names"] == ["background", "square", "disc"]
    assert said["palette"] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    assert (said["step"], said["size"]) == (7, [64, 96])

    graph = onnx.load(tmp_path / "tiny.onnx").graph
    nodes = [(node.op_type, *node.input, str(node.attribute)) for node in graph.node]
    assert len({*nodes}) == len(nodes)  # labels and logits share the network
    weights = sum(array.size for array in jax.tree.leaves(source.variables))
    assert sum(np.prod(array.dims) for array in graph.initializer) < 1.05 * weights


def check_any_size(model, path):
    source, differences = exported(model, path)
    assert all(d.share < 1e-5 and d.pixels == 3 * 64 * 96 + 32 * 64 for d in differences)
    session = session_of(path)
    for shape in ((2, 64, 96), (1, 45, 71), (3, 1, 33)):
        check_logits(session, source, *shape, multiple=32)
    return session


@pytest.mark.parametrize("upsampling", ["deconv", "bilinear"])
def test_height_and_width_are_free_and_padded_where_the_network_wants_that(upsampling, tmp_path):
    session = check_any_size(tiny("_tiny", upsampling=upsampling), tmp_path / "a.onnx")
    (images,) = session.get_inputs()
    assert images.shape == ["N", "H", "W", 3]
    assert [output.shape for output in session.get_outputs()] == [
        ["N", "H", "W"],
        ["N", "H", "W", 3],
    ]
    assert json.loads(session.get_modelmeta().custom_metadata_map["size"]) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TINY_MODELS if name != "_tiny"])
@pytest.mark.parametrize("size", [None, (45, 71)])
def test_every_network_is_exported(name, size, tmp_path):
    path = tmp_path / "a.onnx"
    if size is None:
        check_any_size(tiny(name), path)
        return
    # SegNet's indices jump where two values of a pooling window are equal but for rounding, which
    # happens at one pixel of the usual images.
    source, differences = exported(tiny(name), path, size=size, seed=2 if name == "segnet" else 0)
    assert all(difference.share < 1e-5 for difference in differences)
    check_logits(session_of(path), source, 2, *size)


def in_onnx(function, x, size=None):
    """Return what onnxruntime makes of the first argument of a function, bytes."""
    from gcn_jax.export.onnx_model import make_model

    model = make_model({"y": lambda weights, x: function(x)}, {}, size)
    return session_of(model.SerializeToString()).run(["y"], {"images": x})[0]


@pytest.mark.parametrize(
    "function",
    [
        # Two rows more above than below, cut on the left, and one column between two.
        lambda x: jax.lax.pad(x, 7.0, [(0, 0, 0), (3, 1, 0), (-2, 1, 1), (0, 0, 0)]),
        lambda x: jnp.tensordot(normal(4, 6), x, axes=(1, 1)).transpose(1, 0, 2, 3),
        lambda x: jnp.where(x > 99, x, jnp.float32(-1)),
        lambda x: jnp.concatenate([jnp.zeros_like(x), x], axis=2),
        lambda x: jnp.stack([x, 2 * x, x - 1], axis=2),
        lambda x: x[:, 1:5, 2:] - x[:, :1, 3:4],
        lambda x: attend(
            x @ normal(3, 4) / 99, x[:, :3] @ normal(3, 4) / 99, x[:, :3] @ normal(3, 4), 2
        ),
        lambda x: gelu(x / 99 - 1),
        lambda x: jax.lax.reduce_window(
            x, -jnp.inf, jax.lax.max, (1, 3, 2, 1), (1, 2, 1, 1), [(0, 0), (1, 2), (0, 1), (0, 0)]
        ),
        lambda x: jax.lax.conv_general_dilated(
            x,
            normal(4, 2, 3, 5),
            (1, 1),
            [(2, 1), (0, 1)],
            lhs_dilation=(2, 3),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ),
    ],
    ids=[
        "pad",
        "product",
        "where",
        "concatenate",
        "stack",
        "slice",
        "attention",
        "gelu",
        "max",
        "deconvolution",
    ],
)
def test_primitives_mean_in_onnx_what_they_mean_in_jax(function, monkeypatch):
    x = photos(2, 6, 7)
    expected = function(jnp.asarray(x, jnp.float32))
    found = in_onnx(lambda x: function(x.astype(jnp.float32)), x, x.shape[1:3])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + jnp.arange(x.shape[1])[None, :, None, None],
        lambda x: x * (x.shape[2] // 3) - x.shape[1] % 4,
        lambda x: jnp.broadcast_to(x[:, :1, :1], x.shape),
        lambda x: x.reshape(x.shape[0], -1, 3)[:, : x.shape[1] * x.shape[2]].reshape(x.shape),
        lambda x: jnp.concatenate([x[:, 1:], x[:, :1]], axis=1),
        lambda x: jax.lax.slice(
            jax.lax.pad(x, 7, [(0, 0, 0), (0, 0, 1), (1, 2, 0), (0, 0, 0)]),
            (0, 0, 2, 0),
            (x.shape[0], 2 * x.shape[1] - 1, x.shape[2] + 2, 3),
            (1, 2, 1, 1),
        ),
        lambda x: -(-x // (x.shape[1] - 3)) + jnp.sign(x - 9) * jnp.abs(x - 99),
    ],
    ids=["iota", "sizes", "broadcast", "reshape", "slice", "pad", "division"],
)
@pytest.mark.parametrize("shape", [(2, 6, 7), (1, 9, 12)])
def test_primitives_know_sizes_that_are_found_when_a_graph_runs(function, shape):
    x = photos(*shape)
    found = in_onnx(lambda x: function(x.astype(jnp.int32)), x)
    np.testing.assert_array_equal(found, function(jnp.asarray(x, jnp.int32)))


def test_what_has_no_words_in_onnx_is_named():
    with pytest.raises(NotImplementedError, match="JAX's erf_inv"):
        in_onnx(lambda x: jax.scipy.special.erfinv(x.astype(jnp.float32)), photos(1, 4, 4))


def test_a_network_that_has_no_words_gets_one_line(tmp_path):
    function = {"labels": lambda _, x: jax.scipy.special.erfinv(x.astype(jnp.float32))}
    target = make_target(pretrained(tiny("_tiny")), ("labels",))._replace(functions=function)
    with pytest.raises(UserError, match="JAX's erf_inv; --format stablehlo holds every network"):
        write_onnx(target, tmp_path / "a.onnx", [photos(1, 32, 32)])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("head", ["gcn", "stack"])
def test_the_quick_start_s_network_is_exported(head, tmp_path):
    """Its upsampling is bilinear, which others do otherwise."""
    fields = {"upsampling": "bilinear", "boundary_refinement": False, "kernel_size": 5}
    model = pretrained(tiny("_tiny", head=head, **fields))
    images = photos(2, 64, 32)
    write_onnx(make_target(model, ("logits",)), tmp_path / "a.onnx", [images])
    (logits,) = session_of((tmp_path / "a.onnx").read_bytes()).run(["logits"], {"images": images})
    np.testing.assert_allclose(logits, logits_of(model, images), rtol=1e-4, atol=1e-4)


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    target = make_target(pretrained(tiny("_tiny")), ("labels",))
    with pytest.raises(UserError, match=r"onnxruntime.*; pip install 'gcn-jax\[onnx\]'"):
        write_onnx(target, tmp_path / "a.onnx", [photos(1, 32, 32)])
    assert [*tmp_path.iterdir()] == []
