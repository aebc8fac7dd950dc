"""The file of an exported model: a zip archive of programs, weights and what they are.

    metadata.json            the model, its classes, the sha256 of every other member
    programs/KIND            JAX's serialised program that returns logits, or labels
    weights/NAME.npy         an argument of every program

Members are not compressed, and `numpy.load` reads the weights of such a file as it is.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from gcn_jax.errors import UserError

#: What `metadata.json` calls such a file, and the newest layout that is known here.
FORMAT, FORMAT_VERSION = "gcn_jax stablehlo", 1

_METADATA = "metadata.json"


class Archive(NamedTuple):
    """The content of the file.

    Attributes:
        metadata: What `metadata.json` holds, without the digests.
        programs: "logits" or "labels" -> JAX's serialised program.
        weights: Name -> array; all are the first argument of each program.
    """

    metadata: dict[str, Any]
    programs: dict[str, bytes]
    weights: dict[str, np.ndarray]


def write_archive(file: BinaryIO, archive: Archive) -> None:
    """Write a model.

    Args:
        file: Where to, open and empty.
        archive: The model.
    """
    digests: dict[str, str] = {}
    with zipfile.ZipFile(file, "w") as members:

        def add(name: str, content: bytes) -> None:
            digests[name] = hashlib.sha256(content).hexdigest()
            members.writestr(zipfile.ZipInfo(name), content)  # without the time: the same bytes

        for kind, program in archive.programs.items():
            add(f"programs/{kind}", program)
        for name, array in archive.weights.items():
            add(f"weights/{name}.npy", _npy(array))
        about = {"format": FORMAT, "format_version": FORMAT_VERSION, **archive.metadata}
        content = json.dumps({**about, "sha256": digests}, indent=2)
        members.writestr(zipfile.ZipInfo(_METADATA), content)


def read_archive(path: str | Path) -> Archive:
    """Read a model, and compare every member with its digest.

    Args:
        path: The file.

    Raises:
        UserError: There is no such file, it is another one, it is damaged, or a newer gcn_jax
            wrote it.
    """
    try:
        with zipfile.ZipFile(path) as members:
            content = {name: members.read(name) for name in members.namelist()}
        metadata = json.loads(content.pop(_METADATA))
        digests = metadata.pop("sha256")
        known = metadata.pop("format") == FORMAT
        version = metadata.pop("format_version")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except KeyError:
        known = False
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        # The last two: a bit that says how a member is compressed, or encrypted.
        raise UserError(f"{path} is damaged, or no exported model: {error}") from None
    if not known:
        raise UserError(f"{path} is no exported model of gcn_jax; `gcn-jax export` writes one")
    if version > FORMAT_VERSION:
        raise UserError(f"{path} is of a newer gcn_jax ({metadata['gcn_jax']}): install that one")
    found = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    if wrong := sorted(name for name, _ in found.items() ^ digests.items()):
        raise UserError(f"{path} is damaged: {wrong[0]} is not what was written; export it again")
    programs = {
        name.removeprefix("programs/"): data
        for name, data in content.items()
        if name.startswith("programs/")
    }
    weights = {
        name.removeprefix("weights/").removesuffix(".npy"): np.load(io.BytesIO(data))
        for name, data in content.items()
        if name.startswith("weights/")
    }
    return Archive(metadata, programs, weights)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
