"""Writing converted images and masks: whole or not at all, and only what is not there yet."""

import filecmp
import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gcn_jax import __version__, atomic
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.convert.photos import photo_of, turn_upright
from gcn_jax.data.convert.plan import Item, Photo, Plan
from gcn_jax.data.files import IMAGE_SUFFIXES, read_lines
from gcn_jax.data.images import encode_png, read_image
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

#: The text in a mask's PNG that says from what it was made.
_MARK = "gcn-jax convert"


def write_class_names(folder: Path, names: Sequence[str]) -> None:
    """Write `classes.txt`.

    Args:
        folder: The folder that is written.
        names: The names of labels 0..C-1.

    Raises:
        UserError: It is there with other names.
    """
    path = folder / "classes.txt"
    if path.exists() and tuple(read_lines(path)) != tuple(names):
        raise UserError(
            f"{path} has other classes ({', '.join(read_lines(path)[:8])}) than the source "
            f"({', '.join(names[:8])}); name another folder, or delete {folder}"
        )
    if not path.exists():
        atomic.write(path, "".join(f"{name}\n" for name in names))


class Writer:
    """A writer of the items of a plan.

    Args:
        plan: The plan.
        source: The folder that is read.
        folder: The folder that is written.
        recipe: What all masks depend on besides their sources: the format and the settings.
    """

    def __init__(self, plan: Plan, source: Path, folder: Path, recipe: str):
        self._source = source
        self._folder = folder
        self._recipe = f"{__version__} {recipe} {plan.class_names!r}"
        self._palette = ClassTable(plan.class_names).palette
        self._num_classes = len(plan.class_names)

    def write_all(self, items: Sequence[Item]) -> Iterator[tuple[bool, list[Problem]]]:
        """Write items, several at a time.

        Args:
            items: The items.

        Yields:
            For each of them in order, whether it was written now and what is wrong with it.
        """
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            yield from pool.map(self._write, items)
        finally:
            pool.shutdown(cancel_futures=True)

    def places(self, item: Item) -> tuple[Path, Path]:
        """Return where the image and the mask of an item go.

        Args:
            item: The item.
        """
        images, masks = (self._folder / kind / item.split for kind in ("images", "masks"))
        return images / f"{item.key}{item.suffix}", masks / f"{item.key}.png"

    def _write(self, item: Item) -> tuple[bool, list[Problem]]:
        image_place, mask_place = self.places(item)
        try:
            mark = self._mark_of(item)
            if image_place.exists() and _read_mark(mask_place) == mark:
                return False, []
            if mask_place.exists() and _read_mark(mask_place) is None:
                message = f"{mask_place} was not made by this command; move it away"
                raise Problem("other file", message)
            content, photo = _read_photo(item)
            if not mask_place.exists() and not _may_replace(image_place, item.image, content):
                message = f"{image_place} is another image, which is not overwritten; move it away"
                raise Problem("other file", message)
            label = item.draw(photo)
            if item.is_upright:
                photo = Photo(photo.upright, photo.upright)
            label = turn_upright(label, photo, item.where)
            self._check(label, item)
        except Problem as problem:
            if _read_mark(mask_place) is not None:  # of what the source was before
                mask_place.unlink(missing_ok=True)
                image_place.unlink(missing_ok=True)
            return False, [problem]
        if content is not None:
            atomic.write(image_place, content)
        elif isinstance(item.image, Path):
            _link(item.image, image_place)
        picture = Image.fromarray(label).convert("P")
        picture.putpalette(self._palette.tobytes())
        text = PngInfo()
        text.add_text(_MARK, mark)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", pnginfo=text)
        atomic.write(mask_place, buffer.getvalue())
        return True, []

    def _check(self, label: np.ndarray, item: Item) -> None:
        bad = (label >= self._num_classes) & (label != 255)
        if bad.any():
            values = ", ".join(map(str, np.unique(label[bad])[:8]))
            message = f"{item.where}: label {values} where there are {self._num_classes} classes"
            raise Problem("label out of range", message)

    def _mark_of(self, item: Item) -> str:
        """Return a digest of all that a mask is made of, but for what is in the files."""
        content = hashlib.sha256(
            f"{self._recipe} {item.split}/{item.key}".encode(errors="surrogateescape")
        )
        for path in item.sources:
            try:
                stat = path.stat()
            except OSError as error:
                message = f"{path} cannot be read: {error.strerror}"
                raise Problem("missing file", message) from None
            name = os.path.relpath(path, self._source)
            content.update(f" {name!r} {stat.st_size} {stat.st_mtime_ns}".encode())
        return content.hexdigest()


def _read_photo(item: Item) -> tuple[bytes | None, Photo]:
    """Return the bytes to write, None where the file is taken as it is, and the sizes."""
    if not isinstance(item.image, Path):
        content = item.image()
        image = read_image(io.BytesIO(content), item.where)
        return content, Photo(image.shape[:2], image.shape[:2])
    image = read_image(item.image)
    photo = photo_of(item.image, image.shape[:2])
    if item.image.suffix.lower() in IMAGE_SUFFIXES:
        return None, photo
    return encode_png(image).getvalue(), Photo(photo.upright, photo.upright)


def _may_replace(place: Path, image: object, content: bytes | None) -> bool:
    """Return whether a file is not there, or is what an interrupted conversion left."""
    if not place.exists():
        return True
    if content is not None:
        return place.read_bytes() == content
    return isinstance(image, Path) and filecmp.cmp(image, place, shallow=False)


def _link(source: Path, place: Path) -> None:
    """Link an image, or copy it where links cannot be made; a link needs no room."""
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), temporary)
        except OSError:
            shutil.copy2(source, temporary)
        temporary.replace(place)
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _read_mark(mask: Path) -> str | None:
    """Return from what a mask was made; None where there is none, or another's."""
    try:
        with Image.open(mask) as image:
            mark = image.info.get(_MARK)
            return mark if isinstance(mark, str) else None
    except (OSError, SyntaxError, ValueError):
        return None
