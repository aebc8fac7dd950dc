"""The archive of indexed PNGs that PASCAL VOC's evaluation server takes.

The labels of the test images are secret; host.robots.ox.ac.uk:8080 scores an archive that holds
`results/VOC2012/Segmentation/comp6_test_cls/<id>.png` for each of the 1,456 (comp6: trained on any
data). Pixel values are labels, 0..20.
"""

import contextlib
import gzip
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from gcn_jax import atomic
from gcn_jax.errors import UserError
from gcn_jax.inference.batches import Example

#: Where the server looks for the images.
FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"
#: Classes of VOC, background included.
NUM_CLASSES = 21


@contextlib.contextmanager
def open_submission(
    path: str | Path, palette: np.ndarray, num_images: int
) -> Iterator[Callable[[Example, np.ndarray], None]]:
    """Write a submission image by image; check it, and only then give it its name.

    The same predictions in the same order make the same bytes. A block that ends with an error
    leaves no file.

    Args:
        path: The archive, such as `results.tar.gz`.
        palette: uint8 `[256, 3]`, that of VOC.
        num_images: How many images it must have in the end.

    Yields:
        A function that adds one image: its example and its class map, integers `[H, W]`.

    Raises:
        UserError: The file cannot be written, or `check_submission` finds a problem.

    Example:
        >>> with open_submission("results.tar.gz", palette, len(source)) as add:
        ...     for _, example, prediction in predictor.predict(source):
        ...         add(example, prediction)
    """
    sizes: dict[str, tuple[int, int]] = {}
    with atomic.replacing(path) as file:
        # No name and no time in the header: equal archives have equal bytes.
        zipped = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
        with zipped, tarfile.open(fileobj=zipped, mode="w") as archive:

            def add(example: Example, prediction: np.ndarray) -> None:
                content = _encode(prediction, palette)
                member = tarfile.TarInfo(f"{FOLDER}/{example['id']}.png")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                sizes[example["id"]] = example["image"].shape[:2]

            yield add
        file.seek(0)
        check_submission(file, sizes, num_images)


def check_submission(file: BinaryIO, sizes: Mapping[str, tuple[int, int]], num_images: int) -> None:
    """Read a submission as the server does, and check what the server would refuse.

    Args:
        file: The archive.
        sizes: (height, width) of the image of each id.
        num_images: How many images the archive must have, each once.

    Raises:
        UserError: Their number, the name, kind or size of one, or one of its values is wrong.
    """
    found = set()
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        for member in archive:
            key = member.name.removeprefix(f"{FOLDER}/").removesuffix(".png")
            if key in found or key not in sizes or member.name != f"{FOLDER}/{key}.png":
                raise UserError(f"submission: {member.name} is there twice, or has no image")
            found.add(key)
            content = archive.extractfile(member)
            if content is None:
                raise UserError(f"submission: {member.name} is no file")
            picture = Image.open(content)
            label = np.asarray(picture)
            if (picture.format, picture.mode) != ("PNG", "P") or label.shape != sizes[key]:
                raise UserError(
                    f"submission: {member.name} is {picture.format} {picture.mode} "
                    f"{label.shape}; it must be an indexed PNG of the image's size {sizes[key]}"
                )
            if label.max() >= NUM_CLASSES:
                raise UserError(
                    f"submission: {member.name} has the label {label.max()}; VOC has 0..20"
                )
    if len(found) != num_images:
        raise UserError(f"submission: it has {len(found)} images; it must have {num_images}")


def _encode(prediction: np.ndarray, palette: np.ndarray) -> bytes:
    picture = Image.fromarray(prediction.astype(np.uint8), mode="P")
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
