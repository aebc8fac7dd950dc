"""The base of the builders of published data sets: unpacked, as archives, or downloaded."""

from collections.abc import ItemsView, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.builders.download import Archive, fetch
from gcn_jax.data.builders.folder_config import folder_config
from gcn_jax.data.builders.locating import Files, Form, locate
from gcn_jax.data.builders.prepared import find_prepared
from gcn_jax.data.builders.unpacking import unpack
from gcn_jax.data.problems import Pair, check_listing, refuse
from gcn_jax.errors import UserError, setting


class PublishedBuilder(SegmentationBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A published data set, from what the user has of it or from its public archives.

    A subclass has its class table, `_find_splits`, and these:

    Attributes:
        forms: The forms in which it is published; the first is the one to download.
        look_alikes: `fnmatch` patterns, in lower case, of files and folders that may be taken for
            it, and what they are.

    Args:
        root: The user's folder, of the unpacked data or of the archives, or one of these; None for
            the copy that is prepared already, or else to download the archives. The prepared copy
            is made anew when a file was added, removed or changed.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
        archives: Others than the published ones.
        variant: Which of several data sets that can be made of the same files.
        config: The prepared copy that is meant, as TFDS names it; by default the one of `root`.
        **tfds_arguments: What TFDS hands to every builder.
    """

    forms: Sequence[Form]
    look_alikes: Mapping[str, str] = {}

    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="published", description="The archives as published.")
    ]

    def __init__(
        self,
        root: str | None = None,
        data_dir: str | None = None,
        archives: Sequence[Archive] | None = None,
        variant: str = "",
        config: Any = None,
        **tfds_arguments: Any,
    ):
        if archives is not None:
            self.forms = (self.forms[0]._replace(archives=tuple(archives)),)
        self._splits: dict[str, list[Pair]] | None = None
        self._folder: Path | None = None
        self._files: Files | None = None
        if root:
            path = Path(root).expanduser()
            if not path.exists():
                raise UserError(self._say_gone(path, data_dir, variant))
            found = locate(self.name, path, self.forms, self.look_alikes)
            if isinstance(found, Path):
                self._folder = found
                own = self._folder_config(found)
            else:
                self._files = found
                lying = [(archive.file_names[0], file) for file, archive in found]
                own = folder_config(path, self.classes.names, {"archives": lying})
            name = f"{variant}-{own.name}" if variant else own.name
            config = config or tfds.core.BuilderConfig(name=name, version=self.VERSION)
        elif config is None:
            usual = variant or "published"
            config = find_prepared(self.name, data_dir, self.VERSION, usual, variant)
            if not config:
                self._check_download()
                known = self.builder_configs.get(usual)
                config = known or tfds.core.BuilderConfig(name=usual, version=self.VERSION)
        super().__init__(data_dir=data_dir, config=config, **tfds_arguments)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "PublishedBuilder":
        """Build from `config.data`: `manual_dir` is the folder, where the user has one."""
        return cls(root=settings.get("manual_dir"), data_dir=settings.get("data_dir"))

    @property
    def download(self) -> str | None:
        """The archives, where no folder is given."""
        if self._folder or self._files:
            return None
        return ", ".join(archive.url for archive in self.forms[0].needed)

    def raw_splits(self) -> ItemsView[str, list[Pair]] | None:
        """The pairs of each split, where a folder is given; its archives are unpacked for it."""
        return self._list_splits().items() if self._folder or self._files else None

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        """List the pairs of each split."""
        raise NotImplementedError

    def _folder_config(self, folder: Path) -> tfds.core.BuilderConfig:
        """Name the prepared copy of an unpacked folder."""
        splits = self._list_splits()
        return folder_config(folder, self.classes.names, splits, self.problems)

    def _say_gone(self, path: Path, data_dir: str | None, variant: str) -> str:
        """Say that the folder is not there, and how to do without it."""
        what = f"{self.name}: {path}: no such file or folder; correct {setting('data.manual_dir')}"
        usual = variant or "published"
        if find_prepared(self.name, data_dir, self.VERSION, usual, variant):
            what += ", or set it to none to use the copy that is prepared"
        return what

    def _check_download(self) -> None:
        """Refuse what only a person can fetch."""
        closed = [archive for archive in self.forms[0].needed if archive.needs_login]
        if closed:
            names = " and ".join(archive.file_names[0] for archive in closed)
            raise UserError(
                f"{self.name} cannot be downloaded without a login: fetch {names} from "
                f"{closed[0].url} and name the folder that holds them with "
                f"{setting('data.manual_dir')}; there is no need to unpack them"
            )

    def _list_splits(self) -> dict[str, list[Pair]]:
        """List the pairs of each split that can be read, and keep the `problems` of the others."""
        if self._splits is None:
            splits = self._find_splits(self._unpacked())
            self._splits, self.problems = check_listing(self.name, splits)
        return self._splits

    def _unpacked(self) -> Path:
        """The folder of the data; the archives are downloaded and unpacked for it."""
        if self._folder is not None:
            return self._folder
        needed = self.forms[0].needed
        files = self._files or [(fetch(one, self._data_dir_root), one) for one in needed]
        tree = unpack(files, self._data_dir_root)
        bare = [form._replace(archives=()) for form in self.forms]
        found = locate(self.name, tree, bare, self.look_alikes)
        assert isinstance(found, Path)  # there are no archives to find
        return found

    def _split_generators(self, dl_manager):
        del dl_manager  # the archives are fetched without TensorFlow's file system
        splits = self._list_splits()
        refuse(self.problems)
        return {split: self._generate_examples(pairs, split) for split, pairs in splits.items()}
