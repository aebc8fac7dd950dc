"""Files of PyTorch: every kind of tensor is read, and nothing that a file holds is run.

PyTorch 2.13 wrote `weights*.pth` and `weights.safetensors` in `tests/fixtures`, with the values of
`EXPECTED`; "transposed" and "window" are views of the storage of "conv.weight".
"""

import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.tensor_files import read_weights

DATA = Path(__file__).parent / "fixtures"

COUNT = np.arange(24, dtype=np.float32)
EXPECTED = {
    "conv.weight": COUNT.reshape(2, 3, 2, 2),
    "transposed": COUNT.reshape(4, 6).T,
    "window": COUNT[5:9],
    "parameter": np.array([1.5, -2], np.float32),
    "float64": np.array([0.1]),
    "float16": np.array([0.5, -65504], np.float16),
    "bfloat16": np.array([1.5, -3e38]).astype(jnp.bfloat16),
    "int32": np.array([-7], np.int32),
    "uint8": np.array([200], np.uint8),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "bn.num_batches_tracked": np.array(7),
}


@pytest.mark.parametrize("name", ["weights.pth", "weights_legacy.pth", "weights.safetensors"])
def test_every_dtype_and_layout_is_read(name):
    arrays = read_weights(DATA / name)
    assert set(arrays) == set(EXPECTED)
    for key, expected in EXPECTED.items():
        assert arrays[key].dtype == expected.dtype, key
        np.testing.assert_array_equal(arrays[key], expected, err_msg=key)


def test_the_state_dict_of_a_training_checkpoint_is_found():
    """Beside it lie an epoch, a score and the state of an optimiser."""
    arrays = read_weights(DATA / "weights_nested.pth")
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert list(arrays) == ["0.weight", *(f"1.{leaf}" for leaf in norm)]
    np.testing.assert_array_equal(arrays["0.weight"].ravel(), [3, 4])


def test_a_whole_module_is_refused_by_its_name():
    with pytest.raises(UserError, match=r"weights_module.pth .*torch.nn.*Sequential.*not run"):
        read_weights(DATA / "weights_module.pth")


class Evil:
    """Runs a call when it is unpickled."""

    def __init__(self, function, *args):
        self.reduced = (function, args)

    def __reduce__(self):
        return self.reduced


def write_zip(path, pickled, storage=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", storage)
    return path


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("function", "argument", "named"),
    [
        (os.system, "mkdir {}", "posix.system"),
        (eval, "__import__('os').mkdir({!r})", "__builtin__.eval"),
    ],
)
def test_a_malicious_pickle_is_refused_and_nothing_runs(
    tmp_path, function, argument, named, nested
):
    harm = tmp_path / "harm"
    evil = Evil(function, argument.format(str(harm)))
    pickled = pickle.dumps({"epoch": evil, "state_dict": {}} if nested else evil, protocol=2)
    pickle.loads(pickled)
    assert harm.exists(), "the pickle does no harm: this test shows nothing"
    harm.rmdir()
    (tmp_path / "legacy.pth").write_bytes(pickled)
    for path in (write_zip(tmp_path / "zip.pth", pickled), tmp_path / "legacy.pth"):
        with pytest.raises(UserError, match=rf"{path.name} .*names {named}, which was not run"):
            read_weights(path)
        assert not harm.exists()


def test_a_pickle_cannot_change_what_reads_the_next_one(tmp_path):
    """BUILD sets attributes: here `__call__` of what stands for torch's function."""
    build = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x08\x00\x00\x00__call__K\x01s\x86b."
    with pytest.raises(UserError, match="changes a function"):
        read_weights(write_zip(tmp_path / "build.pth", build))
    assert set(read_weights(DATA / "weights.pth")) == set(EXPECTED)


def tensor_pickle(offset, size, stride, storage="FloatStorage"):
    """A state dict of one tensor "w" that lies in storage 0, as pickle's opcodes."""
    size, stride = ("".join(f"I{n}\n" for n in numbers) for numbers in (size, stride))
    return (
        "}Vw\nctorch._utils\n_rebuild_tensor_v2\n("
        f"(Vstorage\nctorch\n{storage}\nV0\nVcpu\nI4\ntQ"
        f"I{offset}\n({size}t({stride}tI00\nNtRs."
    ).encode()


def test_strides_and_offset_are_honoured(tmp_path):
    storage = np.arange(8, dtype="<f4").tobytes()
    path = write_zip(tmp_path / "w.pth", tensor_pickle(1, (2, 3), (1, 2)), storage)
    np.testing.assert_array_equal(read_weights(path)["w"], [[1, 3, 5], [2, 4, 6]])


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ((1, (2, 4), (1, 2)), "w is larger than what the file holds"),
        ((0, (9,), (0,)), "w is larger"),
        ((-1, (2,), (1,)), r"w has the size \(2,\)"),
        ((0, (2,), (-1,)), r"w has .* the strides \(-1,\)"),
        ((0, (2, 2), (1,)), "w has the size"),
        ((0, (2,), (1,), "QInt8Storage"), "names torch.QInt8Storage"),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, layout, message):
    path = write_zip(tmp_path / "w.pth", tensor_pickle(*layout), bytes(4 * 8))
    with pytest.raises(UserError, match=message):
        read_weights(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("weights.h5", b"", r"its name ends in none of \['.pth', '.pt', '.bin', '.safetensors'\]"),
        ("missing.pth", None, "no such file"),
        ("text.pth", b"not weights", "text.pth cannot be read as weights"),
        ("empty.pt", b"", "empty.pt cannot be read as weights"),
        ("page.pth", b"\n<!DOCTYPE html><html>", "it is a web page, not the file that the page"),
        ("cut.pth", b"PK\x03\x04" + bytes(90), "it is cut off; fetch it again"),
        ("old.pth", pickle.dumps(0x1950A86A20F9469CFC6C)[:-3], "it is damaged, cut off, or not of"),
        ("number.pth", pickle.dumps(5), "it is not a file of torch.save"),
        ("cut.safetensors", struct.pack("<Q", 100) + b"{", "cut.safetensors cannot be read"),
    ],
)
def test_what_is_no_file_of_weights_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_weights(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no state dict"),
        ({"state_dict": {"w": 3}}, "'w' in its state dict is not a tensor"),
    ],
)
def test_a_pickle_without_a_state_dict_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_weights(write_zip(tmp_path / "w.pth", pickle.dumps(content)))


def test_tensors_that_share_a_storage_take_its_memory_once(tmp_path):
    """Otherwise a small file could name the same megabytes a thousand times."""
    again = tensor_pickle(0, (2, 4), (4, 1))[:-2] + b"p0\nsVv\ng0\ns."
    arrays = read_weights(write_zip(tmp_path / "w.pth", again, bytes(4 * 8)))
    assert set(arrays) == {"w", "v"}
    assert np.shares_memory(arrays["w"], arrays["v"])


def test_a_compressed_file_is_refused(tmp_path):
    """A file of kilobytes may hold gigabytes of zeros."""
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle(0, (2,), (1,)))
        archive.writestr("archive/data/0", bytes(4 * 8))
    with pytest.raises(UserError, match="it is compressed"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("length", [9, 2**40, -1])
def test_a_legacy_file_that_ends_early_is_refused(tmp_path, length):
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    parts = [*(pickle.dumps(one, 2) for one in head), tensor_pickle(0, (2,), (1,))]
    content = b"".join([*parts, pickle.dumps(["0"], 2), struct.pack("<q", length), bytes(4 * 8)])
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match="it ends within the storage '0'"):
        read_weights(tmp_path / "w.pth")


def test_a_tensor_whose_values_are_to_be_negated_is_refused(tmp_path):
    """PyTorch writes such views of complex tensors; their storage holds other numbers."""
    negated = tensor_pickle(0, (2,), (1,)).replace(b"NtRs.", b"N}Vneg\nI01\nstRs.")
    with pytest.raises(UserError, match=r"it holds a tensor with \['neg'\]"):
        read_weights(write_zip(tmp_path / "w.pth", negated, bytes(4 * 8)))


def test_memory_that_does_not_suffice_is_said(monkeypatch):
    def exhaust(*args):
        raise MemoryError

    monkeypatch.setattr(np, "frombuffer", exhaust)
    with pytest.raises(UserError, match=r"cannot be read as weights: MemoryError\(\)"):
        read_weights(DATA / "weights.pth")


def test_another_zip_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.pth", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(UserError, match="not one of torch.save"):
        read_weights(tmp_path / "photos.pth")


@pytest.mark.parametrize(
    "asking",
    [
        b"\x80\x02Nr\xff\xff\xff\x0f.",  # LONG_BINPUT: a list of 2 ** 28 values
        b"\x80\x02Np999999999\n.",  # PUT
        b"\x80\x04\x8e" + (2**31).to_bytes(8, "little") + b".",  # BINBYTES8
        b"\x80\x04\x95" + (2**31).to_bytes(8, "little") + b".",  # FRAME
    ],
)
def test_a_small_pickle_gets_little_memory(tmp_path, asking):
    (tmp_path / "a.pth").write_bytes(asking)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="a.pth cannot be read as weights"):
            read_weights(tmp_path / "a.pth")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
