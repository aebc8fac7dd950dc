import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from gcn_jax.data.builders import mat_file
from gcn_jax.data.builders.mat_file import read_field
from tests.helpers.published_data import box_label, save_mat


def saved(values, **options):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5), (281, 500)])
def test_fields_equal_those_of_scipy(packed, shape):
    label = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    content = {"a": 1.0, "Segmentation": label, "z": {"Segmentation": label[:1]}}
    whole = saved({"other": [1, 2], "GTcls": content}, do_compression=packed)
    expected = scipy.io.loadmat(io.BytesIO(whole), simplify_cells=True)["GTcls"]["Segmentation"]
    found = read_field(whole, "GTcls", "Segmentation")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, label)
    np.testing.assert_array_equal(found.squeeze(), expected)


def test_files_as_sbd_has_them(tmp_path):
    save_mat(box_label(3), tmp_path / "a.mat")
    found = read_field((tmp_path / "a.mat").read_bytes(), "GTcls", "Segmentation")
    np.testing.assert_array_equal(found, box_label(3))


WHOLE = saved({"GTcls": {"Segmentation": np.arange(6, dtype=np.uint8).reshape(2, 3)}})


def test_files_of_big_endian_machines():
    def element(kind, data):
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(kind, name, *rest):
        flags, shape = struct.pack(">II", kind, 0), struct.pack(">ii", 1, 1)
        return element(
            14, element(6, flags) + element(5, shape) + element(1, name) + b"".join(rest)
        )

    field = matrix(9, b"", element(2, b"\x07"))
    names = element(5, struct.pack(">i", 8)), element(1, b"label\0\0\0")
    content = bytes(124) + b"\x01\x00MI" + matrix(2, b"GT", *names, field)
    assert read_field(content, "GT", "label").tolist() == [[7]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no .mat file of level 5"),
        (WHOLE[:128], "no variable GTcls"),
        (WHOLE[:130], "ends within an element"),
        (WHOLE[:-8], "longer than what holds it"),
        (saved({"GTcls": 1}), "not one struct"),
        (saved({"GTcls": {"other": 1}}), "no field Segmentation"),
        (saved({"GTcls": {"Segmentation": "text"}}), r"is char \(1, 4\), not uint8"),
        (saved({"GTcls": {"Segmentation": np.ones(2)}}), r"is float64 \(1, 2\), not uint8"),
        (WHOLE.replace(struct.pack("<ii", 2, 3), struct.pack("<ii", 2, 9)), "6 values where"),
        (WHOLE.replace(struct.pack("<ii", 2, 3), struct.pack("<ii", -2, -3)), "dimension below 0"),
        (WHOLE[:128] + struct.pack("<II", 15, 9) + zlib.compress(b"")[:-1] * 2, "compressed"),
        (bytes(2**26 + 1), "67108865 bytes"),
    ],
)
def test_damage_is_named(content, message):
    with pytest.raises(ValueError, match=message):
        read_field(content, "GTcls", "Segmentation")


def test_what_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(mat_file, "MOST_BYTES", 100_000)
    packed = saved({"GTcls": {"Segmentation": np.zeros((500, 500), np.uint8)}}, do_compression=True)
    with pytest.raises(ValueError, match="cut off, or has more than 100000 bytes"):
        read_field(packed, "GTcls", "Segmentation")
