"""The images of a source: which there are, what they are called, and how they are turned."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from gcn_jax.data.convert.plan import Photo
from gcn_jax.data.files import IMAGE_SUFFIXES
from gcn_jax.data.layouts import IMAGE_FOLDERS
from gcn_jax.data.problems import Problem
from gcn_jax.data.split_names import SPLIT_NAMES, canonical_split

#: EXIF's orientation -> how the stored pixels are turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageIndex:
    """The image files below a folder, found by the paths that annotations give.

    Args:
        root: The folder. Names that begin with a dot are skipped.
    """

    def __init__(self, root: Path):
        self.root = root
        self.paths = list_files(root, IMAGE_SUFFIXES)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            self._by_name[path.name].append(path)

    def find(self, name: str, folders: Sequence[Path]) -> Path:
        """Return the file that an annotation means.

        Args:
            name: Its path there, with `/` or Windows' separators.
            folders: Where to look for that path; then the one file of that name is taken,
                wherever it lies.

        Raises:
            Problem: There is none, or there are several of that name.
        """
        plain = PurePosixPath(name.replace("\\", "/"))
        if not plain.name or "\0" in name or len(name) > 1000:
            raise Problem("missing image", f"{name[:100]!r} is no name of an image")
        for folder in folders:
            try:
                if (folder / plain).is_file():
                    return folder / plain
            except OSError:  # a name that is too long
                break
        same_name = self._by_name.get(plain.name, [])
        ends_so = [path for path in same_name if path.as_posix().endswith(f"/{plain}")]
        candidates = ends_so or same_name
        if not candidates:
            message = f"the image {name!r} is nowhere in {self.root}; add it"
            raise Problem("missing image", message)
        if len(candidates) > 1:
            message = f"the image {name!r} may be {candidates[0]} or {candidates[1]}; keep one"
            raise Problem("missing image", message)
        return candidates[0]


def unlisted(paths: Iterable[Path], used: Iterable[Path]) -> list[str]:
    """Return a remark on the images that no annotation lists, if there are any.

    Args:
        paths: All images.
        used: Those that are listed.
    """
    known = {path.resolve() for path in used}
    left = [path for path in paths if path.resolve() not in known]
    if not left:
        return []
    return [f"{len(left)} images are left out, as nothing lists them, such as {left[0]}"]


def list_files(root: Path, suffixes: Sequence[str]) -> list[Path]:
    """List the files below a folder whose names have one of some suffixes, in order.

    Args:
        root: The folder. Names that begin with a dot are skipped.
        suffixes: In lower case, with the dot.
    """
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )


def unique_keys(names: Iterable[str]) -> Mapping[str, str]:
    """Give each image of a split a name without suffix that no other has.

    Args:
        names: Their paths in the source, without repetition. Folders become a part of the name;
            where `a.jpg` and `a.png` meet both keep their suffix, as `a_jpg` and `a_png`.

    Returns:
        Name -> key. Upper case counts as lower case, as some disks have it.
    """
    stems = {
        name: _joined(PurePosixPath(name.replace("\\", "/")).with_suffix("")) for name in names
    }
    count: dict[str, int] = defaultdict(int)
    for stem in stems.values():
        count[stem.lower()] += 1
    keys: dict[str, str] = {}
    taken: set[str] = set()
    for name, stem in stems.items():
        suffix = PurePosixPath(name).suffix.lstrip(".")
        key = f"{stem}_{suffix}" if count[stem.lower()] > 1 else stem
        number = 2
        free = key
        while free.lower() in taken:
            free, number = f"{key}_{number}", number + 1
        taken.add(free.lower())
        keys[name] = free
    return keys


def _joined(path: PurePosixPath) -> str:
    parts = [part for part in path.parts if part not in ("/", "..", ".")]
    name = "_".join(part.strip().lstrip(".") for part in parts)
    return "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in name) or "image"


def photo_of(path: Path, upright: tuple[int, int]) -> Photo:
    """Return the sizes of an image file, read from its header.

    Args:
        path: The file.
        upright: Its upright size, (height, width) in pixels.
    """
    with Image.open(path) as image:
        orientation = image.getexif().get(0x112, 1)
    orientation = orientation if orientation in _TURNS else 1
    return Photo(upright[::-1] if orientation >= 5 else upright, upright, orientation)


def check_size(size: tuple[int, int], photo: Photo, where: str) -> None:
    """Check that an annotation is of the size of its image, before anything is drawn.

    Args:
        size: (height, width) in pixels.
        photo: The sizes of its image.
        where: The annotation, for the message.

    Raises:
        Problem: It is of another size.
    """
    if size not in (photo.stored, photo.upright):
        raise Problem(
            "size mismatch",
            f"{where}: the annotation is of {size[1]}x{size[0]} pixels, its image "
            f"{photo.upright[1]}x{photo.upright[0]}; they must be equal (width x height)",
        )


def turn_upright(label: np.ndarray, photo: Photo, where: str) -> np.ndarray:
    """Turn a mask as its image is turned, where it was drawn on the stored pixels.

    Args:
        label: uint8 `[H, W]`.
        photo: The sizes of its image. Those tell on which pixels the mask was drawn.
        where: The mask, for the message.

    Raises:
        Problem: The sizes cannot tell, or fit neither.
    """
    check_size((label.shape[0], label.shape[1]), photo, where)
    size = label.shape
    if photo.orientation == 1:
        return label
    if photo.stored == photo.upright:
        raise Problem(
            "rotated photo",
            f"{where}: the photo is turned by EXIF orientation {photo.orientation}, and nothing "
            "tells whether its annotation is of the stored or of the upright pixels; save the "
            "image as it was annotated, without the orientation",
        )
    if size == photo.upright:
        return label
    return np.asarray(Image.fromarray(label).transpose(_TURNS[photo.orientation]))


def split_and_name(root: Path, path: Path) -> tuple[str, str]:
    """Return the split of a file, "" for none, and its name below it.

    Args:
        root: The folder. Below it a folder called train, val, test or the like is the split, and
            one that is called images says nothing.
        path: The file, perhaps not below the folder.
    """
    parts = path.relative_to(root).parts if path.is_relative_to(root) else (path.name,)
    split, kept = "", []
    for part in parts[:-1]:
        if not split and part.lower() in SPLIT_NAMES:
            split = canonical_split(part)
        elif part not in IMAGE_FOLDERS:
            kept.append(part)
    return split, "/".join([*kept, parts[-1]])


def keys_in_splits(places: Mapping[Path, tuple[str, str]]) -> dict[Path, str]:
    """Give each file a name without suffix that no other of its split has.

    Args:
        places: The split and the name of each file, as `split_and_name` returns them.
    """
    keys: dict[Path, str] = {}
    for split in {split for split, _ in places.values()}:
        names = {path: name for path, (one, name) in places.items() if one == split}
        key_of = unique_keys(names.values())
        keys |= {path: key_of[name] for path, name in names.items()}
    return keys


def background(photo: Photo) -> np.ndarray:
    """Return the mask of an image in which nothing is annotated, uint8 `[H, W]`."""
    return np.zeros(photo.upright, np.uint8)
