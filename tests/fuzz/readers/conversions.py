"""Readers of other tools' annotations, as `gcn-jax data convert` takes them, and their lists."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from gcn_jax.data.class_lists import read_class_list
from gcn_jax.data.convert import Options, convert
from gcn_jax.errors import UserError
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.helpers.annotated import photo

_SIZE = 12, 16


def _convert(folder: Path) -> Any:
    """Convert a folder; what is left out of the result counts as refused."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = convert(folder / "source", Options(destination=out))
    if done.problems:
        raise UserError(str(done.problems[0]))
    masks = {
        str(path): np.asarray(Image.open(path)) for path in sorted(out.rglob("masks/**/*.png"))
    }
    return done.format, done.class_names, done.num_images, masks


def _conversion(
    name: str,
    content: str,
    file: str,
    mutate: Callable[[bytes, Random], bytes],
    others: dict[str, str] | None = None,
    image: str = "0.png",
) -> Reader:
    """Describe a reader of one file, beside one photo and other files."""

    def write(folder: Path) -> None:
        for path, text in {**(others or {}), file: content}.items():
            (folder / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / path).write_text(text)
        photo(folder / "source" / image, size=_SIZE)

    return Reader(name, write, _convert, mutate, f"source/{file}", short=5)


_COCO = {
    "images": [{"id": 7, "file_name": "0.png", "height": 12, "width": 16}],
    "annotations": [
        {"id": 1, "iscrowd": 0, "image_id": 7, "category_id": 4,
         "segmentation": [[2, 1, 8, 1, 8, 6, 2, 6]]},
        {"id": 2, "iscrowd": 1, "image_id": 7, "category_id": 1,
         "segmentation": {"size": [12, 16], "counts": [20, 5, 5, 10, 152]}},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}],
}  # fmt: skip
_LABELME = {
    "version": "5.4.1",
    "shapes": [
        {"label": "dog", "points": [[12, 11], [3, 2]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[5, 5], [9, 5], [9, 8], [5, 8]], "shape_type": "polygon"},
        {"label": "dog", "points": [[10, 6], [10, 8]], "shape_type": "circle"},
    ],
    "imagePath": "0.png",
    "imageData": None,
    "imageHeight": 12,
    "imageWidth": 16,
}
_CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>cat</name></label>
<label><name>dog</name></label></labels></task></meta>
<image id="0" name="0.png" width="16" height="12">
<polygon label="dog" points="2.00,2.0;14.00,2.0;14,10.0;2,10.0" z_order="1"/>
<box label="cat" xtl="10" ytl="1" xbr="12" ybr="6" rotation="30.0" z_order="0"/>
<mask label="cat" rle="1, 2, 3, 4" left="4" top="5" width="5" height="2" z_order="2"/>
</image></annotations>"""
_YOLO = "1 0.1 0.1 0.4 0.1 0.4 0.5\n0 0.25 0.25 0.9 0.25 0.9 0.75 0.25 0.75\n"
_YAML = "train: images/train\nnames:\n  0: dog\n  1: cat\n"
_YOLO_FILES = {"data.yaml": _YAML, "labels/train/0.txt": _YOLO}


def _class_list(file: str, content: str) -> Reader:
    return Reader(
        f"list of classes: {file}",
        write=lambda folder: (folder / file).write_text(content),
        read=lambda folder: read_class_list(folder),
        mutate=mutations.of_bytes,
        short=50,
    )


_PLACE = "labels/train/0.txt"
READERS = (
    _conversion("convert: COCO (tree)", json.dumps(_COCO), "a.json", mutations.of_json),
    _conversion("convert: COCO (bytes)", json.dumps(_COCO), "a.json", mutations.of_bytes),
    _conversion("convert: labelme (tree)", json.dumps(_LABELME), "0.json", mutations.of_json),
    _conversion("convert: labelme (bytes)", json.dumps(_LABELME), "0.json", mutations.of_bytes),
    _conversion("convert: CVAT", _CVAT, "annotations.xml", mutations.of_bytes),
    _conversion(
        "convert: YOLO", _YOLO, _PLACE, mutations.of_bytes, _YOLO_FILES, "images/train/0.png"
    ),
    _conversion(
        "convert: data.yaml", _YAML, "data.yaml", mutations.of_bytes, _YOLO_FILES,
        "images/train/0.png",
    ),
    _class_list("labelmap.txt", "# label:color\nbackground:0,0,0::\ncat:128,0,0::\n"),
    _class_list("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncat,128,0,0\n"),
    _class_list("_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n"),
)  # fmt: skip
