"""Images that a data set holds twice: within a split a waste, between two of them a leak."""

from collections import defaultdict
from collections.abc import Iterator

from gcn_jax.data.problems import Problem


class Copies:
    """Finds images with the same pixels, or the same id, one pass over all images.

    Of an image a hash is kept.

    Args:
        by_id: Whether an id names the same image in every split.
    """

    def __init__(self, *, by_id: bool):
        self._by_id = by_id
        # What an image is known by (hash or id) -> split -> the first image there.
        self._first: dict[bytes | str, dict[str, str]] = defaultdict(dict)
        # (split, later split) -> id of an image in the later one -> its id in the other.
        self._found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)

    def add(self, split: str, key: str, digest: bytes | None) -> None:
        """Take note of an image.

        Args:
            split: The split that it is in.
            key: Its id.
            digest: A hash of its pixels; None where it cannot be read.
        """
        for mark in (digest, key if self._by_id else None):
            if mark is None:
                continue
            first = self._first[mark]
            for other_split, other_key in first.items():
                if (other_split, other_key) != (split, key):
                    self._found[other_split, split].setdefault(key, other_key)
            first.setdefault(split, key)

    def judge(self, name: str, training: str | None) -> tuple[list[Problem], list[str]]:
        """Tell leaks from copies that may be meant.

        Args:
            name: The data set.
            training: The split that is trained on. An image of it in another split is a leak,
                unless that one's name begins with "train", too ("trainval", "train_coarse").

        Returns:
            The leaks, and remarks on other copies.
        """
        leaks: list[Problem] = []
        remarks: list[str] = []
        for (split, later), pairs in self._found.items():
            others = {split, later} - {training}
            if len(others) == 1 and split != later and not others.pop().startswith("train"):
                leaks += _leaks(name, split, later, pairs)
            else:
                key, other = next(iter(pairs.items()))
                what = f"copies in {split}" if split == later else f"images of {later} in {split}"
                remarks.append(f"{what}: {len(pairs)} (such as {key!r}, there {other!r})")
        return leaks, remarks


def _leaks(name: str, split: str, later: str, pairs: dict[str, str]) -> Iterator[Problem]:
    for key, other in pairs.items():
        message = (
            f"{name}: {later} {key!r} and {split} {other!r} are one image (equal pixels or id); "
            "training must not see what it is judged by: take it out of one of them"
        )
        yield Problem(f"image in {split} and {later}", message, later)
