"""A plan of a conversion: what a source format found, before any pixel is drawn."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

#: Names of classes that are void, in any case of letters: no class, but `IGNORE_LABEL`.
VOID_NAMES = ("void", "ignore", "__ignore__")

#: Names of the class of all that is not annotated.
BACKGROUND_NAMES = ("background", "_background_", "__background__")


class Photo(NamedTuple):
    """The sizes of an image file, as (height, width) in pixels.

    Attributes:
        stored: The size of the pixels in the file.
        upright: The size once it is turned as its EXIF orientation says.
        orientation: That orientation, 1..8; 1 is upright.
    """

    stored: tuple[int, int]
    upright: tuple[int, int]
    orientation: int = 1


@dataclasses.dataclass(frozen=True)
class Item:
    """One image and how its mask is drawn.

    Attributes:
        key: The name of both in the result, without suffix.
        image: The image file, or a function that returns its bytes.
        suffix: The suffix of the image in the result.
        split: Its split; "" where the source has none.
        draw: Returns the mask of an image of such sizes, uint8 `[H, W]`, or raises `Problem`.
        sources: The files that image and mask come from; a change of one draws it anew.
        where: The item in a message.
        is_upright: Whether the annotation is known to be of the upright image; else its size tells.
    """

    key: str
    image: Path | Callable[[], bytes]
    suffix: str
    split: str
    draw: Callable[[Photo], np.ndarray]
    sources: tuple[Path, ...]
    where: str
    is_upright: bool = False


@dataclasses.dataclass
class Plan:
    """All that a source holds.

    Attributes:
        class_names: The names of labels 0..C-1.
        items: The images that can be converted, as far as one can tell before drawing.
        problems: What cannot be converted.
        remarks: What a person should know about what was understood.
    """

    class_names: tuple[str, ...]
    items: list[Item]
    problems: list[Problem] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)


class Options(NamedTuple):
    """The settings that a person gives a conversion.

    Attributes:
        classes: A file of class names, or of colours with names; by default what the source has.
        name: The name of the foreground of binary masks.
        void: Names that are void, besides `VOID_NAMES`.
        destination: The folder that is written.
    """

    classes: Path | None = None
    name: str | None = None
    void: tuple[str, ...] = ()
    destination: Path = Path()

    def is_void(self, name: str) -> bool:
        """Return whether a class is void by its name."""
        return name.lower() in VOID_NAMES or name in self.void


class Format(Protocol):
    """A source format: one module that has these.

    Attributes:
        NAME: What `--format` takes.
        LOOKS_FOR: The sign that it is recognised by, for the message when nothing fits.
    """

    NAME: str
    LOOKS_FOR: str

    def recognises(self, root: Path) -> bool:
        """Return whether a folder is of this format, from names and a few files."""

    def read(self, root: Path, options: Options) -> Plan:
        """List all that the folder holds.

        Args:
            root: The folder.
            options: The settings.

        Raises:
            Problem: Nothing of it can be converted, and why.
            UserError: A setting is missing or wrong.
        """


def number_classes(
    found: Sequence[str],
    options: Options,
    listed: Sequence[str] | None = None,
    *,
    has_background: bool = False,
) -> tuple[tuple[str, ...], Mapping[str, int | None]]:
    """Give classes their labels: background is 0, void names have none.

    Args:
        found: The names in the source, in the order of their labels.
        options: The settings.
        listed: The names of a list, in the order of their labels; it says which there are.
        has_background: Whether each pixel is annotated: then none is added, and the order stays.

    Returns:
        The names of labels 0..C-1, "background" first where none is called so; and the label of
        each name, None for void. A name that is missing there is unknown.

    Raises:
        Problem: There are fewer than 2 or more than 255 classes, or a name cannot be printed.
        UserError: A name that shall be void is not there.
    """
    names = list(dict.fromkeys(found if listed is None else listed))
    for name in options.void:
        if name not in (*names, *found):
            there = ", ".join(names)
            raise UserError(f"--void names {name!r}, which is none of the classes: {there}")
    real = [name for name in names if not options.is_void(name)]
    ordered = real
    if not has_background:
        first = next((name for name in real if name.lower() in BACKGROUND_NAMES), "background")
        ordered = [first, *(name for name in real if name != first)]
    labels: dict[str, int | None] = {name: label for label, name in enumerate(ordered)}
    labels.update((name, None) for name in {*names, *found} if options.is_void(name))
    if not 2 <= len(ordered) <= 255:
        message = f"{len(ordered)} classes ({', '.join(ordered[:8])}); there must be 2 to 255"
        raise Problem("class names", message)
    unprintable = next(
        (name for name in ordered if not name.isprintable() or not name.strip()), None
    )
    if unprintable is not None:
        raise Problem("class names", f"a class is called {unprintable!r}; give it a name to print")
    return tuple(ordered), labels
