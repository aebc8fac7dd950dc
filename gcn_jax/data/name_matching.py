"""The mask that belongs to an image, by their names: equal, or but for what all masks share."""

import difflib
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from gcn_jax.data.problems import Problem
from gcn_jax.errors import setting

#: A file in a folder of images or masks: the folder below it ("" for none) and the file's stem.
Name = tuple[str, str]

#: Images whose masks are looked for, one by one, to learn what all names share.
_LOOKED_AT = 12
#: Common beginnings and endings of the images' names that are tried without.
_ENDS_TRIED = 2


class NameRule(NamedTuple):
    """A rule that makes the name of a mask of that of its image: cut ends off, put others on.

    Attributes:
        cut_prefix: The beginning of all images' names that masks lack.
        cut_suffix: The end of all images' names that masks lack.
        prefix: The beginning of all masks' names that images lack.
        suffix: The end of all masks' names that images lack.
    """

    cut_prefix: str = ""
    cut_suffix: str = ""
    prefix: str = ""
    suffix: str = ""

    def mask_of(self, image: Name) -> Name:
        """Return the name of an image's mask.

        Args:
            image: The name of the image.
        """
        folder, stem = image
        core = stem.removeprefix(self.cut_prefix).removesuffix(self.cut_suffix)
        return folder, f"{self.prefix}{core}{self.suffix}"


def find_name_rule(
    images: Collection[Name], masks: Collection[Name], where: str, mask_suffix: str | None = None
) -> NameRule:
    """Find the one rule by which images and masks are named.

    Equal names win where every image has a mask of its name. Otherwise the rule has to find a mask
    for half of the images, or an image for half of the masks, and there must be only one such rule.

    Args:
        images: The names of the images.
        masks: The names of the masks, without repetition.
        where: The folders, for the messages.
        mask_suffix: The end of masks' names that images lack; None to find it.

    Raises:
        Problem: No rule fits, or several do, as where each image has masks of several kinds.
    """
    equal = NameRule()
    masks = set(masks)
    if not images or not masks:
        return equal
    if mask_suffix is None and all(name in masks for name in images):
        return equal
    rules: dict[tuple[Name, ...], NameRule] = {}  # what it makes of the images -> the first such
    looked_at = sorted(images)[:: max(1, len(images) // _LOOKED_AT)]
    for rule in dict.fromkeys(_candidates(images, masks, looked_at, mask_suffix)):
        found = sum(rule.mask_of(name) in masks for name in images)
        if 2 * found >= min(len(images), len(masks)) and found:
            rules.setdefault(tuple(map(rule.mask_of, looked_at)), rule)
    if len(rules) == 1:
        return next(iter(rules.values()))
    image = looked_at[0]
    if rules:
        fitting = ", ".join(repr(rule.mask_of(image)[1]) for rule in rules.values())
        raise Problem(
            "names of masks",
            f"{where}: {len(rules)} kinds of masks fit the images: for {image[1]!r} {fitting}; "
            f"remove all but one kind, or name its ending with {setting('data.mask_suffix')}="
            f"{max(rule.suffix for rule in rules.values()) or '_mask'}",
        )
    near = nearest(image[1], [stem for _, stem in masks])
    ending = "" if mask_suffix is None else f" and {setting('data.mask_suffix')}={mask_suffix}"
    raise Problem(
        "names of masks",
        f"{where}: no masks fit the names of the images{ending}: images are called "
        f"{_some([stem for _, stem in sorted(images)])}, and the masks nearest to the first are "
        f"{_some(near)}; a mask has the name of its image, or that and one beginning or ending "
        f"common to all masks ({setting('data.mask_suffix')} names an ending)",
    )


def nearest(name: str, names: Collection[str], count: int = 3) -> list[str]:
    """Return the names most like a name, the most like first.

    Args:
        name: The name.
        names: Those to choose from.
        count: How many at most.
    """
    # difflib takes 0.1 ms a name: of very many those that sort next to it are compared.
    ordered = sorted(names, key=lambda other: (-len(os.path.commonprefix([name, other])), other))
    return difflib.get_close_matches(name, ordered[:500], count, cutoff=0)


def _candidates(
    images: Collection[Name],
    masks: Collection[Name],
    looked_at: Sequence[Name],
    mask_suffix: str | None,
) -> Iterator[NameRule]:
    """Yield rules under which some images that are looked at have masks, the simplest first."""
    stems = [stem for _, stem in images]
    in_folder = defaultdict(list)
    for folder, stem in sorted(masks):
        in_folder[folder].append(stem)
    yield NameRule(suffix=mask_suffix or "")
    for cut_prefix in _beginnings(stems):
        for cut_suffix in _endings(stems):
            if mask_suffix is not None:
                yield NameRule(cut_prefix, cut_suffix, suffix=mask_suffix)
                continue
            for folder, stem in looked_at:
                core = stem.removeprefix(cut_prefix).removesuffix(cut_suffix)
                if not core:
                    continue
                for mask in in_folder[folder]:
                    rest = mask.removeprefix(core)
                    if mask.startswith(core) and not rest[:1].isalnum():
                        yield NameRule(cut_prefix, cut_suffix, suffix=rest)
                    rest = mask.removesuffix(core)
                    if mask.endswith(core) and not rest[-1:].isalnum():
                        yield NameRule(cut_prefix, cut_suffix, prefix=rest)


def _endings(stems: Sequence[str]) -> list[str]:
    """The common endings of names that begin with a sign such as _, the empty one first."""
    return [ending[::-1] for ending in _beginnings([stem[::-1] for stem in stems])]


def _beginnings(stems: Sequence[str]) -> list[str]:
    """The common beginnings of names that end with a sign such as _, the empty one first."""
    shared = os.path.commonprefix(list(stems))
    ends = [i + 1 for i, sign in enumerate(shared) if not sign.isalnum()]
    return ["", *(shared[:end] for end in ends[:_ENDS_TRIED])]


def _some(names: Sequence[str], limit: int = 3) -> str:
    more = ", ..." if len(names) > limit else ""
    return ", ".join(repr(name) for name in names[:limit]) + more
