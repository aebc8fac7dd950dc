"""Readers of data sets: annotations, lists, names of files, and the prepared copy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import scipy.io

from gcn_jax.data import open_split
from gcn_jax.data.builders.cityscapes import Cityscapes
from gcn_jax.data.builders.coco_instances import read_instances
from gcn_jax.data.builders.folder import Folder
from gcn_jax.data.builders.sbd import Sbd, read_mat
from gcn_jax.data.builders.voc_segmentation import VocSegmentation
from gcn_jax.data.problems import refuse
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.helpers.published_data import box_label, make_sbd, make_voc
from tests.helpers.small_data import parallel_folders

# ---------------------------------------------------------------------------- SBD's masks
_LABEL = box_label(3, border=0)


def _mat(name: str, packed: bool) -> Reader:
    def write(folder: Path) -> None:
        content = {"CategoriesPresent": np.uint8([[3]]), "Segmentation": _LABEL}
        scipy.io.savemat(folder / "a.mat", {"GTcls": content}, do_compression=packed)

    return Reader(
        name, write, lambda folder: read_mat(folder / "a.mat"), mutations.of_bytes, checksum=packed
    )


# ------------------------------------------------------------------------- COCO's annotations
_SEGMENTATIONS = (
    [[2, 1, 8, 1, 8, 6, 2, 6], [0.5, 0.5, 3.5, 0.5, 3.5, 4]],
    {"size": [10, 12], "counts": [20, 5, 5, 10, 80]},
    {"size": [10, 12], "counts": "01o04VO000000000l0"},
)


def _write_coco(folder: Path) -> None:
    annotations = [
        {"id": i, "image_id": 7 + i // 2, "category_id": number, "area": 30.5, "iscrowd": crowd,
         "segmentation": _SEGMENTATIONS[i]}
        for i, (number, crowd) in enumerate(((1, 0), (18, 1), (3, 0)))
    ]  # fmt: skip
    images = [
        {"id": number, "file_name": f"{number}.jpg", "height": 10, "width": 12} for number in (7, 8)
    ]
    content = {"images": images, "annotations": annotations, "categories": []}
    (folder / "instances.json").write_text(json.dumps(content))


def _read_coco(folder: Path) -> Any:
    found = read_instances(folder / "instances.json")
    return [(one.key, one.file_name, one.rasterise()) for one in found]


# ------------------------------------------------------------------------ lists, names of files
def _pairs(builder: Any, folder: Path) -> Any:
    """Return the pairs that a builder finds, their files as names in the folder."""
    refuse(builder.problems)
    return builder.classes.names, [
        (split, [(key, *map(str, files)) for key, *files in pairs])
        for split, pairs in builder.raw_splits()
    ]


def _list(
    name: str, write: Callable[[Path], object], builder: Any, files: str, place: str = ""
) -> Reader:
    def read(folder: Path) -> Any:
        return _pairs(builder(str(folder / place), data_dir=str(folder / "prepared")), folder)

    return Reader(name, write, read, mutations.of_bytes, files, short=30)


def _write_names(folder: Path) -> None:
    (folder / "names").write_text("aachen_000000_000019\naachen_000001_000019\nbochum_0_313")


def _read_names(folder: Path) -> Any:
    """Give images and masks of Cityscapes these names, as far as the file system takes them."""
    root = folder / "cityscapes"
    shutil.rmtree(root, ignore_errors=True)
    for name in (folder / "names").read_bytes().split(b"\n"):
        city = name.split(b"_")[0][:100].replace(b"\0", b"").replace(b"/", b"").decode(
            "utf-8", "surrogateescape"
        )  # fmt: skip
        key = name[:150].replace(b"\0", b"").replace(b"/", b"").decode("utf-8", "surrogateescape")
        for kind, end in (("leftImg8bit", ""), ("gtFine", "_labelIds")):
            path = root / kind / "train" / city / f"{key}_{kind}{end}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return _pairs(Cityscapes(str(root), data_dir=str(folder / "prepared")), folder)


# ---------------------------------------------------------------------------- the prepared copy
def _write_folder(folder: Path) -> None:
    parallel_folders(folder / "data", 4, ("train", "val"))


def _settings(folder: Path) -> dict[str, Any]:
    return {"manual_dir": str(folder / "data"), "data_dir": str(folder / "prepared")}


def _write_prepared(folder: Path) -> None:
    _write_folder(folder)
    _read_prepared(folder)


def _read_prepared(folder: Path) -> Any:
    source = open_split("folder:train", _settings(folder))
    statistics = source.label_statistics.to_json()
    return source.identities, statistics, [source[index] for index in range(len(source))]


def _prepared(name: str, files: str, mutate: Callable[[bytes, Random], bytes], checksum: bool):
    return Reader(name, _write_prepared, _read_prepared, mutate, files, checksum, short=30)


_VOC, _SBD = "VOCdevkit/VOC2012/ImageSets/Segmentation/*.txt", "benchmark_RELEASE/dataset/*.txt"
_COPY = "prepared/folder/*/*/"

READERS = (
    _mat("SBD .mat", packed=False),
    _mat("SBD .mat, zlib", packed=True),
    Reader("COCO JSON (tree)", _write_coco, _read_coco, mutations.of_json),
    Reader("COCO JSON (bytes)", _write_coco, _read_coco, mutations.of_bytes),
    Reader("Cityscapes names", _write_names, _read_names, mutations.of_bytes, "names", short=30),
    _list("classes.txt", _write_folder, Folder, "data/classes.txt", "data"),
    _list("list of ids, VOC", make_voc, VocSegmentation, _VOC),
    _list("list of ids, SBD", make_sbd, Sbd, _SBD),
    _prepared("prepared records", f"{_COPY}*train.array_record*", mutations.of_bytes, True),
    _prepared("prepared JSON (tree)", f"{_COPY}*.json", mutations.of_json, False),
    _prepared("prepared JSON (bytes)", f"{_COPY}*.json", mutations.of_bytes, False),
)
