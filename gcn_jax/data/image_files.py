"""Image files that a user names: which they are, read one at a time, and what to call results."""

import contextlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gcn_jax.data.channels import load_channels
from gcn_jax.data.files import IMAGE_SUFFIXES
from gcn_jax.data.images import check_bit_depth, read_image
from gcn_jax.errors import UserError


class ImageFiles:
    """Files as a source for `gcn_jax.inference.predictor`: nothing is read before its turn.

    Attributes:
        paths: The files.
        bit_depth: How many bits of 16 files use; None for all.
        channels: How many channels images have; RGB, if 3, whatever the files store.
    """

    def __init__(self, paths: Sequence[Path], bit_depth: int | None = None, channels: int = 3):
        self.paths, self.bit_depth, self.channels = tuple(paths), bit_depth, channels

    def __len__(self) -> int:
        """The number of files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one file: {"image": uint8 [H, W, 3] RGB, "id": its path}; or see `load_channels`."""
        with _any_size():
            if self.channels == 3:
                image = read_image(self.paths[index], bit_depth=self.bit_depth)
            else:
                image, facts = load_channels(self.paths[index], self.channels, self.bit_depth)
                check_bit_depth(facts.stored, self.bit_depth, str(self.paths[index]))
        return {"image": image, "id": str(self.paths[index])}


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Lift Pillow's limit of 179 million pixels: the user knows these files."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def image_size(path: Path) -> tuple[int, int] | None:
    """Return the (height, width) in the header of an image file; None where there is none."""
    try:
        with _any_size(), Image.open(path) as image:
            return image.height, image.width
    except Exception:  # whatever Pillow raises; what is wrong is said when the file is read
        return None


def find_images(paths: Iterable[str | Path], *, recursive: bool = False) -> dict[Path, Path]:
    """List the image files among files and folders.

    Args:
        paths: Files, taken as they are, and folders, whose images (by suffix) are taken in the
            order of their names.
        recursive: Whether folders in them are entered, but for hidden ones.

    Returns:
        The files, each once, and where each lies below the folder that was named.

    Raises:
        UserError: A path does not exist, or a folder has no images.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        files = _images_in(path, recursive) if path.is_dir() else [path]
        for file in files:
            below = file.parent.relative_to(path) if path.is_dir() else Path()
            found.setdefault(file.resolve(), (file, below))
    return dict(found.values())


def _images_in(folder: Path, recursive: bool) -> list[Path]:
    files = [
        file
        for file in sorted(folder.rglob("*") if recursive else folder.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.is_dir()
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        where = "" if recursive else "; --recursive enters its folders"
        raise UserError(f"{folder} has no images ({', '.join(IMAGE_SUFFIXES)}){where}")
    return files


def output_names(paths: Sequence[Path]) -> list[str]:
    """Give each file a name for its results, which no other file's results have.

    The name is the stem of the file. Where files share it, those of several folders get their
    folder too, and those of one folder their suffix: `in/a.jpg`, `in/a.png` and `b/a.jpg` become
    `in_a_jpg`, `in_a_png` and `b_a`. A number settles what is left. What is compared includes
    `<name>_overlay`, and upper case counts as lower case.

    Args:
        paths: Different files.
    """
    parents = [path.resolve().parent for path in paths]
    folders_of: dict[str, Counter[Path]] = defaultdict(Counter)  # stem -> its files in each folder
    for path, parent in zip(paths, parents, strict=True):
        folders_of[path.stem.lower()][parent] += 1
    taken: set[str] = set()
    names = []
    for path, parent in zip(paths, parents, strict=True):
        folders = folders_of[path.stem.lower()]
        name = path.stem
        if len(folders) > 1:
            name = f"{parent.name}_{name}"
        if folders[parent] > 1:
            name = f"{name}_{path.suffix.lstrip('.')}"
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        name = next(n for n in itertools.chain([name], numbered) if not _results(n) & taken)
        taken |= _results(name)
        names.append(name)
    return names


def _results(name: str) -> set[str]:
    return {name.lower(), f"{name}_overlay".lower()}
