"""The meaning of pixel values, which must be the same in every file of a data set.

Files are looked at one by one, and a few facts of each are kept; what differs between them shows
once all were seen.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import MaskFacts
from gcn_jax.data.images import ImageFacts
from gcn_jax.data.problems import Problem
from gcn_jax.errors import setting

#: Largest value, of 255, below which a split of images is as good as black, or dim.
_BLACK, _DIM = 32, 128
#: The values of a mask whose foreground was saved as white.
_BLACK_AND_WHITE = (0, IGNORE_LABEL)
_OUT_OF_RANGE = "label out of range"

Color = tuple[int, int, int]


@dataclasses.dataclass
class _Depth:
    """The images of a split with one bit depth."""

    count: int = 0
    highest: int = 0
    black: int = 0
    example: str = ""
    stored: int = 0  # the largest value as it is stored, or what it is at most
    beyond: int = 0
    beyond_example: str = ""


class Consistency:
    """The facts of all files of a data set, compared.

    Args:
        name: The data set.
        classes: Its classes; colours that their list gives are compared with the masks' palettes.
        reduces_zero: Whether 0 in the masks is void and 1 the first class.
        bit_depth: How many bits the images use whose files have 16; None for all.
    """

    def __init__(
        self,
        name: str,
        classes: ClassTable,
        *,
        reduces_zero: bool = False,
        bit_depth: int | None = None,
    ):
        self._bit_depth = bit_depth
        self._name, self._num_classes = name, len(classes.names)
        self._reduces_zero = reduces_zero
        self._color_of: dict[int, tuple[Color, str]] = {}
        self._value_of: dict[Color, tuple[int, str]] = {
            color: (number + reduces_zero, "the list of classes")
            for number, color in enumerate(classes.colors or ())
            if (classes.colors or ()).count(color) == 1
        }
        self._conflict: str | None = None
        self._in_conflict = 0
        self._depths: dict[tuple[str, bool], _Depth] = defaultdict(_Depth)
        self._turned: dict[str, list[str]] = defaultdict(list)
        self._values: set[int] = set()
        self._num_masks = 0
        self._masks_of: Counter[str] = Counter()
        self._black_and_white: dict[str, list[str]] = defaultdict(list)

    def add_image(self, split: str, name: str, facts: ImageFacts, size: tuple[int, ...]) -> None:
        """Take note of an image.

        Args:
            split: The split that it is in.
            name: Its file.
            facts: Its properties.
            size: Its (height, width), as it is read.
        """
        depth = self._depths[split, facts.is_deep]
        depth.count += 1
        depth.black += facts.highest < _BLACK
        if facts.highest >= depth.highest:
            depth.highest, depth.example = facts.highest, name
        stored = 256 * facts.highest + 255 if facts.stored is None else facts.stored
        if self._bit_depth is not None and facts.is_deep and stored >> self._bit_depth:
            depth.beyond += 1
            depth.beyond_example = name if stored > depth.stored else depth.beyond_example
        depth.stored = max(depth.stored, stored)
        shows_in_size = facts.orientation >= 5 and size[0] != size[1]
        if facts.orientation > 1 and not shows_in_size:
            self._turned[split].append(name)

    def add_mask(self, split: str, name: str, facts: MaskFacts) -> None:
        """Take note of a mask.

        Args:
            split: The split that it is in.
            name: Its file.
            facts: Its properties.
        """
        self._num_masks += 1
        self._masks_of[split] += 1
        if facts.values == _BLACK_AND_WHITE:
            self._black_and_white[split].append(name)
        self._values.update(facts.values)
        conflict = None
        for value, color in facts.colors.items():
            other_color, there = self._color_of.setdefault(value, (color, name))
            if other_color != color:
                conflict = f"{value} is the colour {color} in {name} and {other_color} in {there}"
            other_value, there = self._value_of.setdefault(color, (value, name))
            if other_value != value:
                conflict = f"the colour {color} is {value} in {name} and {other_value} in {there}"
        self._in_conflict += conflict is not None
        self._conflict = self._conflict or conflict

    def problems(self) -> Iterator[Problem]:
        """Yield what differs and must not."""
        if self._conflict:
            yield Problem(
                "palettes that differ",
                f"{self._name}: the palettes of masks differ ({self._in_conflict} of "
                f"{self._num_masks}): {self._conflict}. The number in the file is the class, "
                "whatever its colour: save all masks with one palette; or as grey PNG, if the "
                "numbers are right and only the colours differ",
            )
        for split, names in self._black_and_white.items():
            # What is wrong with a training split as a whole is said of its labels.
            if len(names) == self._masks_of[split] and not split.startswith("train"):
                yield Problem(
                    "black-and-white masks",
                    f"{self._name}:{split}: all masks hold only 0 and {IGNORE_LABEL}, which is "
                    "void; save the foreground as 1, the number of its class (`gcn-jax data "
                    "convert` does that)",
                    split,
                )
        yield from self._depth_problems()

    def _depth_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with images of 16 bits: more bits than there should be, or fewer."""
        deep = {split: depth for (split, is_deep), depth in self._depths.items() if is_deep}
        bits = self._bit_depth or 16
        beyond = [depth for depth in deep.values() if depth.beyond]
        if beyond:
            most = max(beyond, key=lambda depth: depth.stored)
            yield Problem(
                "bit depth",
                f"{self._name}: {sum(depth.beyond for depth in beyond)} of "
                f"{sum(depth.count for depth in deep.values())} images with 16 bits hold values "
                f"above {2**bits - 1}, the white of {bits} bits (the largest is {most.stored} in "
                f"{most.beyond_example}); set {setting('data.bit_depth')}="
                f"{_bits(most.stored)}, if that is right for all",
            )
            return
        mixed = len({is_deep for _, is_deep in self._depths}) > 1
        dark = {
            split: depth
            for split, depth in deep.items()
            if depth.highest < (_DIM if mixed else _BLACK)
        }
        if dark:
            highest = max(dark.values(), key=lambda depth: depth.highest)
            unit = 2 ** (bits - 8)
            factor = 256 // (highest.highest + 1)
            beside = " beside those with 8 bits" if mixed else ""
            yield Problem(
                "dark 16-bit images",
                f"{self._name}: images with 16 bits in {', '.join(dark)} hold no value above "
                f"{unit * (highest.highest + 1) - 1} of {2**bits - 1} (the largest is in "
                f"{highest.example}), and would be read nearly black{beside}; set "
                f"{setting('data.bit_depth')} to the bits that they use, at least "
                f"{_bits(highest.stored)}, such as 12 of a camera; or save them all, those to "
                "predict later, too, with their values times 65536 / (1 + what is white in them), "
                f"at most {factor}, or with 8 bits",
                next(iter(dark)) if len(dark) == 1 else None,
            )

    def remarks(self) -> Iterator[str]:
        """Yield what differs, or is odd, and may be meant."""
        for split in dict.fromkeys(split for split, _ in self._depths):
            shallow, deep = (self._depths.get((split, is_deep)) for is_deep in (False, True))
            if shallow and deep:
                yield (
                    f"{split}: {deep.count} images have 16 bits, {shallow.count} have 8; those of "
                    "16 are divided by 256"
                )
            if deep and _BLACK <= deep.highest < _DIM:
                yield (
                    f"{split}: images with 16 bits use only {(deep.highest + 1) / 2.56:.0f} % of "
                    f"their range (values times {256 // (deep.highest + 1)} would use it, or "
                    "data.bit_depth, if they have fewer bits)"
                )
            elif deep and deep.highest >= _DIM and deep.black:
                yield f"{split}: {deep.black} of {deep.count} images with 16 bits are nearly black"
            if shallow and shallow.highest < _BLACK:
                yield f"{split}: no image has a value above {shallow.highest} of 255"
        if self._bit_depth is not None and not any(is_deep for _, is_deep in self._depths):
            yield f"data.bit_depth is {self._bit_depth}, but no image has 16 bits"
        for split, names in self._black_and_white.items():
            if len(names) < self._masks_of[split]:
                yield (
                    f"{split}: masks that hold only 0 and {IGNORE_LABEL}, which is void: "
                    f"{len(names)} (such as {names[0]}); was their foreground saved as white?"
                )
        for split, names in self._turned.items():
            yield (
                f"{split}: images turned by their EXIF orientation, to which sizes say nothing: "
                f"{len(names)} (such as {names[0]}); masks are taken to fit the upright image"
            )

    def fold(self, problems: list[Problem]) -> list[Problem]:
        """Say labels out of range once for the whole set, where one cause fits all masks.

        Args:
            problems: Those of single files, and others.
        """
        found = [problem for problem in problems if problem.kind == _OUT_OF_RANGE]
        causes = list(self._causes())
        if not found or not causes:
            return problems
        first = found[0]
        what, _, _ = first.args[0].partition("; correct the mask")
        if len(found) > 1:
            what += f" (and in {len(found) - 1} more of {self._num_masks} masks)"
        message = f"{what}: {'; or '.join(causes)}; else correct the masks or add class names"
        place = problems.index(first)
        rest = [problem for problem in problems if problem not in found]
        return [*rest[:place], Problem(_OUT_OF_RANGE, message, first.split), *rest[place:]]

    def _causes(self) -> Iterator[str]:
        """Yield what would make all masks fit, with what to type."""
        stored = self._values - {IGNORE_LABEL}
        last = self._num_classes - 1 + self._reduces_zero
        beyond = sorted(value for value in stored if not 0 <= value <= last)
        if not self._reduces_zero and beyond == [self._num_classes]:
            zero = "0 never occurs, so" if 0 not in stored else "where 0 means unlabelled, as in"
            end = "the classes seem to be counted from 1" if 0 not in stored else "ADE20K"
            yield f"{zero} {end}, set {setting('data.reduce_zero_label')}=True"
        if len(beyond) == 1:
            value = beyond[0]
            void = setting("data.void_labels")
            yield f"where {value} means unlabelled, set {void}='({value},)'"
        elif beyond and len(self._values) <= self._num_classes:
            values = ", ".join(map(str, sorted(self._values)))
            yield (
                f"the masks hold only {values}, which look like {len(self._values)} shades of grey "
                f"in place of class numbers: save them as 0..{self._num_classes - 1}"
            )


def _bits(value: int) -> int:
    """How many bits a value takes, as a bit depth says: 8 at least."""
    return max(8, value.bit_length())
