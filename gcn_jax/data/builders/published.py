"""The base of the builders of published data sets: a folder of the user's, or an archive."""

from collections.abc import ItemsView, Mapping
from pathlib import Path
from typing import Any, ClassVar

from gcn_jax.data.builders.base import SegmentationBuilder, folder_config
from gcn_jax.data.builders.download import Archive, download_archive
from gcn_jax.data.problems import Pair, check_listing, refuse
from gcn_jax.errors import UserError, setting


class PublishedBuilder(SegmentationBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A published data set, from a folder that the user has or from its public archive.

    A subclass has its class table, `_find_splits`, and these:

    Attributes:
        archive: What to download where no folder is named; None where that needs a login.
        places: Where in the folder that the user names the data may lie.
        landmark: What the data's own folder holds, by which it is found.
        layout: The folder in words, for an error.

    Args:
        root: The user's folder; None to download the archive. The prepared copy is made anew when
            a file was added, removed or changed.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
        archive: Another archive than the published one.
    """

    archive: ClassVar[Archive | None] = None
    places: ClassVar[tuple[str, ...]] = ("",)
    landmark: ClassVar[str]
    layout: ClassVar[str]

    def __init__(
        self,
        root: str | None = None,
        data_dir: str | None = None,
        archive: Archive | None = None,
    ):
        self._archive = archive or self.archive
        self._splits = config = None
        if root:
            folder = self._find_root(Path(root))
            self._splits, self.problems = check_listing(self.name, self._find_splits(folder))
            config = folder_config(folder, self.classes.names, self._splits, self.problems)
        elif self._archive is None:
            raise UserError(
                f"{self.name} cannot be downloaded without a login; unpack it by hand and name "
                f"its folder with {setting('data.manual_dir')}: {self.layout}"
            )
        super().__init__(data_dir=data_dir, config=config)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "PublishedBuilder":
        """Build from `config.data`: `manual_dir` is the folder, where the user has one."""
        return cls(root=settings.get("manual_dir"), data_dir=settings.get("data_dir"))

    @property
    def download(self) -> str | None:
        """The archive, where no folder is given."""
        return None if self._splits or self._archive is None else self._archive.url

    def raw_splits(self) -> ItemsView[str, list[Pair]] | None:
        """The pairs of each split, where a folder is given."""
        return self._splits.items() if self._splits else None

    def _find_root(self, root: Path) -> Path:
        return find_folder(self.name, root, self.places, self.landmark, self.layout)

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        """List the pairs of each split."""
        raise NotImplementedError

    def _split_generators(self, dl_manager):
        del dl_manager  # the archive is fetched without TensorFlow's file system
        splits = self._splits
        if splits is None:
            assert self._archive is not None  # else the folder was required
            folder = download_archive(self._archive, self._data_dir_root)
            splits, problems = check_listing(self.name, self._find_splits(self._find_root(folder)))
            refuse(problems)
        return {split: self._generate_examples(pairs, split) for split, pairs in splits.items()}


def find_folder(name: str, root: Path, places: tuple[str, ...], landmark: str, layout: str) -> Path:
    """Find the folder of a data set where the user may mean it to be.

    Args:
        name: The data set.
        root: The folder that the user names.
        places: Where in it to look, best first.
        landmark: What the folder that is looked for holds.
        layout: That folder in words.

    Raises:
        UserError: None of the places holds the landmark.
    """
    for place in places:
        if (root / place / landmark).exists():
            return root / place
    raise UserError(
        f"{name}: {root} holds no {landmark}; {setting('data.manual_dir')} names {layout}"
    )
