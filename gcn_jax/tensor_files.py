"""Files of PyTorch weights as numpy arrays: without PyTorch, and without running what they hold.

A `.pth` file is a pickle, and a pickle is a program. This one may build dicts, lists and tensors;
whatever else it names is refused before it is imported. What is read is no larger than the file:
no number in a pickle is taken for a size before it was compared with the file's. One that is made
to do so can still use up time.
"""

import functools
import io
import math
import os
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from gcn_jax.errors import UserError

#: PyTorch's storages, and safetensors' dtypes, in numpy's words (bfloat16 is that of `ml_dtypes`).
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}

#: Under which name a training checkpoint keeps its weights.
_NESTING = ("state_dict", "model")

#: The first pickle of a file from before PyTorch 1.6.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read a file of weights.

    Example:
        >>> variables = import_resnet(read_weights("resnet50.pth"), ResNet(depth=50))

    Args:
        path: A `.safetensors` file, or a `.pth`, `.pt` or `.bin` one that `torch.save` wrote: a
            state dict, or a dict that holds one as "state_dict" or "model".

    Returns:
        Tensor name to array, in the dtype and the layout of the file. The arrays are read-only;
        tensors that share values in the file share them here.

    Raises:
        UserError: There is no such file, it cannot be read, it is damaged, or it holds more than
            tensors; the message says what.
    """
    path = Path(path)
    readers = dict.fromkeys((".pth", ".pt", ".bin"), _read_torch)
    readers[".safetensors"] = _read_safetensors
    if path.suffix not in readers:
        raise UserError(f"{path} is not a file of weights: its name ends in none of {[*readers]}")
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights")
    try:
        return readers[path.suffix](path)
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) or repr(error)
        raise UserError(f"{path} cannot be read as weights: {reason}") from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import safetensors  # here, so that a notebook that builds a model does not need it

    arrays = {}
    for name, tensor in safetensors.deserialize(path.read_bytes()):
        if tensor["dtype"] not in _SAFETENSORS:
            raise ValueError(f"{name} has the dtype {tensor['dtype']}")
        dtype = jnp.dtype(_SAFETENSORS[tensor["dtype"]])
        arrays[name] = np.frombuffer(bytes(tensor["data"]), dtype).reshape(tensor["shape"])
    return arrays


# ------------------------------------------------------------------------------- PyTorch's formats
class _Storage(NamedTuple):
    dtype: str
    key: str


class _Tensor(NamedTuple):
    """What a pickle says about a tensor; the values are elsewhere in the file."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Dict(dict):
    """Stands for an OrderedDict; the attributes that PyTorch hangs on it are dropped."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Function:
    """What a pickle gets for a name: to call with what it holds, never to change."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes a function")


def _rebuild_tensor(
    storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None
) -> _Tensor:
    """Stand for `_rebuild_tensor_v2`; what concerns gradients is left out."""
    del requires_grad, hooks
    if metadata:  # such as "neg": the values are to be negated
        raise pickle.UnpicklingError(f"it holds a tensor with {[*metadata]}")
    return _Tensor(storage, offset, tuple(size), tuple(stride))


_FUNCTIONS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _Dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *unused: tensor,
}


class _Clamped:
    """A file of which no more is asked than it has: else a buffer for all of it would be made."""

    def __init__(self, file: BinaryIO):
        start = file.tell()
        self.size = file.seek(0, os.SEEK_END)
        file.seek(start)
        self._file, self.readline, self.tell = file, file.readline, file.tell

    def read(self, length: int) -> bytes:
        return self._file.read(min(length, self.size - self.tell()))


def _operations(file: _Clamped) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(cast(Any, file))
    except ValueError as error:
        raise ValueError(f"it is damaged, cut off, or not of torch.save ({error})") from error


class _Unpickler(pickle.Unpickler):
    """Builds dicts, lists, plain values and `_Tensor`s; imports nothing.

    Attributes:
        dtypes: The dtype of every storage that the pickle refers to, by its key.

    Raises:
        ValueError: The pickle is damaged, or asks for more memory than the file is long.
    """

    def __init__(self, file: BinaryIO):
        start, clamped = file.tell(), _Clamped(file)
        for code, argument, _ in _operations(clamped):
            if code.name.endswith("PUT") and cast(int, argument) > clamped.size:
                raise ValueError(f"its pickle has no {argument} values")  # a list of so many
        file.seek(start)
        super().__init__(clamped, encoding="utf-8")
        self.dtypes: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _FUNCTIONS:
            return _Function(_FUNCTIONS[module, name])
        raise pickle.UnpicklingError(
            f"it names {module}.{name}, which was not run: only tensors are read (PyTorch can save "
            "`model.state_dict()` by itself)"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, _, *view = pid
        if kind != "storage" or dtype not in _STORAGES.values() or any(view):
            raise pickle.UnpicklingError(f"it refers to {kind!r} of {dtype!r}")
        self.dtypes[key] = dtype
        return _Storage(dtype, key)


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            return _read_zip(file)
        file.seek(0)
        start = file.read(64).lstrip()
        if start.startswith(b"PK"):
            raise ValueError("it is cut off; fetch it again")
        if start.startswith(b"<"):
            raise ValueError("it is a web page, not the file that the page offers")
        file.seek(0)
        return _read_legacy(file)


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read the format since PyTorch 1.6: `<name>/data.pkl`, and storages in `<name>/data/`."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("this zip file is not one of torch.save")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("it is compressed, which torch.save does not do")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("it was written by a big-endian machine")
        with archive.open(pickles[0]) as pickled:
            tensors = _state_dict(_Unpickler(io.BytesIO(pickled.read())).load())

        @functools.cache
        def values(storage: _Storage) -> np.ndarray:
            data = archive.read(f"{folder}data/{storage.key}")
            return np.frombuffer(data, jnp.dtype(storage.dtype))

        return {name: _array(name, tensor, values) for name, tensor in tensors.items()}


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read the format before: five pickles, then the storages, each after its length (int64)."""
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise ValueError("it is not a file of torch.save")
    _Unpickler(file).load()  # the version of the protocol
    if not _Unpickler(file).load()["little_endian"]:
        raise ValueError("it was written by a big-endian machine")
    unpickler = _Unpickler(file)
    tensors = _state_dict(unpickler.load())
    file_size, storages = os.fstat(file.fileno()).st_size, {}
    for key in _Unpickler(file).load():
        length = int.from_bytes(file.read(8), "little")
        dtype = jnp.dtype(unpickler.dtypes[key])
        if length * dtype.itemsize > file_size - file.tell():
            raise ValueError(f"it ends within the storage {key!r}")
        storages[key] = np.frombuffer(file.read(length * dtype.itemsize), dtype)
    return {
        name: _array(name, tensor, lambda storage: storages[storage.key])
        for name, tensor in tensors.items()
    }


def _state_dict(content: Any) -> dict[str, _Tensor]:
    """Find the state dict in what was pickled."""
    for key in _NESTING:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content:
        raise ValueError(f"it holds no state dict, by itself or as one of {_NESTING}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise ValueError(f"{name!r} in its state dict is not a tensor")
    return content


def _array(name: str, tensor: _Tensor, values: Callable[[_Storage], np.ndarray]) -> np.ndarray:
    """Cut a tensor out of its storage, and check that it lies inside."""
    storage = values(tensor.storage)
    numbers = (tensor.offset, *tensor.size, *tensor.stride)
    if len(tensor.size) != len(tensor.stride) or min(numbers) < 0:
        raise ValueError(f"{name} has the size {tensor.size} and the strides {tensor.stride}")
    if 0 in tensor.size:
        return np.zeros(tensor.size, storage.dtype)
    last = sum((n - 1) * stride for n, stride in zip(tensor.size, tensor.stride, strict=True))
    if tensor.offset + last >= len(storage) or math.prod(tensor.size) > len(storage):
        raise ValueError(f"{name} is larger than what the file holds for it")
    strides = [stride * storage.itemsize for stride in tensor.stride]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, strides)
