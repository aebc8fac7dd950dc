"""Files of Caffe: what protocol buffers' library writes is read, and damage is said in one line."""

import itertools
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from gcn_jax.errors import UserError
from gcn_jax.weights import caffemodel
from gcn_jax.weights.caffemodel import read_caffemodel
from tests.helpers.caffe_weights import field, varint

FIXTURES = Path(__file__).parents[1] / "fixtures"


def recipe(name, *shape):
    """The values of `*.caffemodel` in the fixtures, which protobuf wrote."""
    n = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype("float32")
    if name.endswith("kernel"):
        return n * np.sqrt(0.8 / np.prod(shape[1:])).astype("float32")
    return 0.1 * n + name.endswith("scale")


CONV1 = {
    "conv1_1/0": recipe("conv1_1/kernel", 4, 3, 3, 3),
    "conv1_1/1": recipe("conv1_1/bias", 4),
}
SAMPLES = {
    "new.caffemodel": CONV1
    | {
        "conv1_1_bn/0": recipe("conv1_1_bn/scale", 1, 4, 1, 1),
        "conv1_1_bn/1": recipe("conv1_1_bn/shift", 1, 4, 1, 1),
        "upscore/0": recipe("upscore/kernel", 4, 2, 4, 4),
    },
    "v1.caffemodel": CONV1 | {"fc6/0": recipe("fc6/kernel", 5, 36), "fc6/1": recipe("fc6/bias", 5)},
}


def check(arrays, expected, **tolerance):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype, name
        assert arrays[name].shape == array.shape, name
        np.testing.assert_allclose(arrays[name], array, **tolerance, err_msg=name)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name):
    check(read_caffemodel(FIXTURES / name), SAMPLES[name], rtol=1e-6)


# ---------------------------------------------------------------------- against the library itself
INT, INT64, FLOAT, DOUBLE, STRING, MESSAGE = 5, 3, 2, 1, 9, 11


def messages():
    """Build the messages of caffe.proto that hold weights, with its field numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="c.proto", package="c", syntax="proto2")

    def add(name, *fields):
        message = file.message_type.add(name=name)
        for one, number, kind, repeated, packed in fields:
            made = message.field.add(name=one, number=number, label=3 if repeated else 1)
            made.type = MESSAGE if isinstance(kind, str) else kind
            if isinstance(kind, str):
                made.type_name = f".c.{kind}"
            if packed:
                made.options.packed = True

    sides = [(n, i, INT, 0, 0) for i, n in enumerate(("num", "channels", "height", "width"), 1)]
    for suffix, packed in (("", True), ("Loose", False)):  # numbers one by one, too
        add(f"Shape{suffix}", ("dim", 1, INT64, 1, packed))
        add(
            f"Blob{suffix}",
            *sides,
            ("data", 5, FLOAT, 1, packed),
            ("diff", 6, FLOAT, 1, packed),
            ("shape", 7, f"Shape{suffix}", 0, 0),
            ("double_data", 8, DOUBLE, 1, packed),
        )

    def names(name, kind):
        return (("name", name, STRING, 0, 0), ("type", kind, STRING, 0, 0))

    for suffix in ("", "Loose"):
        blobs, v0, v1, layer = (f"{kind}{suffix}" for kind in ("Blob", "V0", "V1", "Layer"))
        add(v0, *names(1, 2), ("blobs", 50, blobs, 1, 0))
        add(v1, ("layer", 1, v0, 0, 0), ("name", 4, STRING, 0, 0), ("type", 5, INT, 0, 0),
            ("blobs", 6, blobs, 1, 0))  # fmt: skip
        add(layer, *names(1, 2), ("blobs", 7, blobs, 1, 0))
        add(f"Net{suffix}", ("name", 1, STRING, 0, 0), ("layers", 2, v1, 1, 0),
            ("input_dim", 4, INT, 1, 0), ("layer", 100, layer, 1, 0))  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        suffix: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"c.Net{suffix}"))
        for suffix in ("", "Loose")
    }


NETS = messages()


def write(path, form, arrays, *, shaped, double=False, loose=False):
    """Write arrays with protobuf, in one of three forms; a layer without blobs after each."""
    net = NETS["Loose" if loose else ""](name="net", input_dim=[1, 3, 300, 70000])
    layers = net.layer if form == "new" else net.layers
    for name, group in itertools.groupby(arrays, key=lambda name: name.rpartition("/")[0]):
        entry = layers.add()
        layer = entry.layer if form == "v0" else entry
        layer.name = name
        for key in group:
            blob = layer.blobs.add()
            array = arrays[key]
            if shaped:
                blob.shape.dim.extend(array.shape)
            else:
                sides = (1, 1, 1, *array.shape)[-4:]
                blob.num, blob.channels, blob.height, blob.width = sides
            (blob.double_data if double else blob.data).extend(array.ravel().tolist())
            blob.diff.extend([7.0] * 3)
        layers.add().name = layer.name + " relu"
    path.write_bytes(net.SerializeToString())
    return path


ARRAYS = {
    "conv/ä/0": np.arange(300, dtype="float32").reshape(5, 3, 4, 5),
    "conv/ä/1": np.arange(5, dtype="float32") - 2,
    "one output/0": np.arange(18, dtype="float32").reshape(1, 2, 3, 3),
    "one output/1": np.array([3], "float32"),
    "dense/0": np.arange(6, dtype="float32").reshape(2, 3),
    "dense, one output/0": np.arange(6, dtype="float32").reshape(1, 6),
}


@pytest.mark.parametrize("loose", [False, True])
@pytest.mark.parametrize(
    ("form", "shaped"), [("v0", False), ("v1", False), ("v1", True), ("new", True)]
)
def test_every_form_that_protobuf_writes(tmp_path, form, shaped, loose):
    path = write(tmp_path / "net.caffemodel", form, ARRAYS, shaped=shaped, loose=loose)
    check(read_caffemodel(path), ARRAYS, atol=0)


def test_double_precision(tmp_path):
    arrays = {name: array / np.float64(3) for name, array in ARRAYS.items()}
    path = write(tmp_path / "net.caffemodel", "new", arrays, shaped=True, double=True)
    check(read_caffemodel(path), arrays, atol=0)


def test_memory_is_that_of_the_file(tmp_path):
    arrays = {"conv/0": np.ones((500, 1000, 2, 2), "float32"), "conv/1": np.ones(500, "float32")}
    path = write(tmp_path / "net.caffemodel", "new", arrays, shaped=True)
    tracemalloc.start()
    try:
        read = read_caffemodel(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check(read, arrays, atol=0)
    assert peak < 1.02 * path.stat().st_size


# ----------------------------------------------------------------------------- by hand, and damage
def network(*blobs, name=b"conv"):
    return field(100, field(1, name) + b"".join(field(7, blob) for blob in blobs))


TWO = np.array([1.5, -2], "<f4").tobytes()
SHAPE_2 = field(7, field(1, varint(2)))


def read(tmp_path, content):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return read_caffemodel(path)


@pytest.mark.parametrize(
    "blob",
    [
        field(5, TWO[:4]) + SHAPE_2 + field(5, TWO[4:]),
        field(5, TWO[:4]) + SHAPE_2 + b"\x2d" + TWO[4:],  # wire type 5
        field(5, b"") + field(5, TWO[:4]) + field(5, TWO[4:]) + SHAPE_2,
        field(5, TWO) + field(7, field(1, 2)),
        b"\x88\x80\x00\x01" * 3 + field(5, TWO) + field(7, b"\x0a\x02\x82\x00"),  # long varints
        field(5, TWO) + SHAPE_2 + field(15, b"later") + b"\x79" + bytes(8),  # unknown fields
    ],
)
def test_pieces_and_unknown_fields(tmp_path, blob):
    layer = field(7, blob) + field(1, b"conv")  # the name comes last
    arrays = read(tmp_path, field(3, b"data") + field(100, layer))
    check(arrays, {"conv/0": np.array([1.5, -2], "float32")}, atol=0)


LARGE = varint(2**62)
FAULTS = {
    "empty": (b"", "no layers with weights"),
    "text": (b"<!DOCTYPE html><html>", "of another kind: field 7 has type 4"),
    "group": (b"\x0b\x0c", "field 1 has type 3"),
    "field 0": (b"\x02\x00", "field 0 has type 2"),
    "no weights": (field(1, b"name") + field(100, field(1, b"data")), "no layers with weights"),
    "cut number": (b"\x80", "ends within a number"),
    "overflow": (b"\xff" * 9 + b"\x02", "more than 64 bits"),
    "endless number": (b"\xff" * 30, "more than 64 bits"),
    "length": (b"\x12" + LARGE + b"x", f"field 2 has {2**62} bytes, and 1 are left"),
    "layer is a number": (field(100, 5), "a field has type 0, not 2"),
    "name is a number": (field(100, field(1, 5)), "a field has type 0, not 2"),
    "name": (network(field(5, TWO) + SHAPE_2, name=b"\xff\n"), "can't decode byte 0xff"),
    "no values": (network(SHAPE_2), "blob 0 of layer 'conv': it has no values"),
    "no shape": (network(field(5, TWO)), r"8 bytes of values do not have the shape \[0, 0, 0, 0\]"),
    "short": (network(field(5, TWO[:4]) + SHAPE_2), r"4 bytes of values .* shape \[2\]"),
    "part of a value": (network(field(5, TWO[:7]) + SHAPE_2), r"7 bytes of values .* \[2\]"),
    "nothing": (network(field(5, b"") + field(7, field(1, 0))), r"0 bytes of values .* \[0\]"),
    "large shape": (network(field(5, TWO) + field(7, field(1, LARGE + LARGE))), "do not have"),
    "negative": (network(field(5, TWO) + field(1, 2**64 - 2)), "do not have the shape"),
    "axes": (network(field(5, TWO) + field(7, field(1, b"\x01" * 33))), "more than 32 axes"),
    "axis": (network(field(5, TWO) + field(7, field(1, b"\x82"))), "ends within a number"),
    "shape is a number": (network(field(5, TWO) + field(7, 2)), "type 0, not 2"),
    "side is a text": (network(field(5, TWO) + field(1, b"2")), "type 2, not 0"),
    "values in doubles": (network(b"\x29" + TWO + SHAPE_2), "type 1, not 2"),
    "two layers": (2 * network(field(5, TWO) + SHAPE_2), "two layers 'conv'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_said_in_one_line(tmp_path, name):
    content, message = FAULTS[name]
    with pytest.raises(UserError, match=f"net.caffemodel cannot be read .*{message}") as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_a_file_that_is_cut_anywhere_is_refused_or_has_fewer_layers(tmp_path):
    content = (FIXTURES / "new.caffemodel").read_bytes()
    whole = read(tmp_path, content)
    for place in range(0, len(content), 7):
        try:
            arrays = read(tmp_path, content[:place])
        except UserError:
            continue
        assert len(arrays) in (2, 4)  # between two layers
        check(arrays, {name: whole[name] for name in arrays}, atol=0)


def test_numbers_of_blobs_and_bytes_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(caffemodel, "_BLOBS", 3)
    blob = field(5, TWO) + SHAPE_2
    assert len(read(tmp_path, network(blob, blob, blob))) == 3
    for content in (network(*4 * [blob]), network(blob, blob) + network(blob, blob, name=b"b")):
        with pytest.raises(UserError, match="more than 3 blobs"):
            read(tmp_path, content)
    with pytest.raises(UserError, match="no such file of weights"):
        read_caffemodel(tmp_path)
    monkeypatch.setattr(caffemodel, "_BYTES", 20)
    with pytest.raises(UserError, match="longer than 2 GiB"):
        read(tmp_path, network(blob))
