"""The base of the TFDS builders: one set of features, checked pairs, ArrayRecord, no TensorFlow."""

import inspect
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils

from gcn_jax.data import files, images
from gcn_jax.data.builders.examining import Examined, examine
from gcn_jax.data.channels import load_channels
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.consistency import Consistency
from gcn_jax.data.problems import Pair, Problem, reading_prepared, refuse, split_problems
from gcn_jax.data.statistics import LabelStatistics
from gcn_jax.data.survey import Seen, see
from gcn_jax.terminal import ProgressBar, say


class _Info(tfds.core.DatasetInfo):
    """TFDS's description of a data set, which asks nobody else for one."""

    def initialize_from_bucket(self) -> None:
        """Do nothing: TFDS would leave an empty folder behind and look for a copy on its server."""


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A data set of images and masks, prepared without TensorFlow.

    A subclass has a class table (`classes`), its splits (`_split_generators`), and builds itself
    from the `data` section of a config (`from_settings`). Examples are `{"id": text, "image":
    encoded bytes, "label": PNG of class indices}`, in the order in which the subclass lists them;
    an example without a label has no bytes there. What is known of a split as a whole, its ids and
    the statistics of its labels, is kept beside it. Preparation checks every pair; an error leaves
    nothing on disk that looks complete.

    Attributes:
        problems: What is wrong with a folder of the user's before any image is opened, such as a
            mask that is not there. Such a folder is not prepared.
        remarks: What was understood in a way that might not be meant.
        bit_depth: How many bits the images use whose files have 16; None for all.
        channels: How many channels images have; of other than 3 the copy holds arrays
            `[H, W, C]`, uint8 or uint16 as `load_channels` reads them.
        homepage: The address of the people who publish it.
        citation: Their paper, as BibTeX.
    """

    problems: Sequence[Problem] = ()
    remarks: Sequence[str] = ()
    bit_depth: int | None = None
    channels: int = 3
    homepage: ClassVar[str | None] = None
    citation: ClassVar[str | None] = None

    VERSION = tfds.core.Version("1.2.0")

    def __init__(self, data_dir: str | None = None, **kwargs):
        self._data_dir = ""
        kwargs["file_format"] = "array_record"  # the one that needs no TensorFlow
        try:
            super().__init__(data_dir=data_dir, **kwargs)
        except Exception:
            if not (self._data_dir and self.is_prepared()):
                raise
            with reading_prepared(self._data_dir):  # TFDS reads the prepared copy's description
                raise

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "SegmentationBuilder":
        """Build from `config.data`: here from `data_dir`, where prepared data sets are kept."""
        return cls(data_dir=settings.get("data_dir"))

    @property
    def classes(self) -> ClassTable:
        """Names and colours of the classes."""
        raise NotImplementedError

    @property
    def collection(self) -> str | None:
        """The collection of images that the ids belong to; data sets of one share images.

        By default the data set itself; None where every split has ids of its own.
        """
        return self.name

    @property
    def combined_splits(self) -> Mapping[str, str]:
        """Names for several splits read as one, such as `{"trainval": "train+val"}`."""
        return {}

    @property
    def download(self) -> str | None:
        """What preparation would have to download, in words; None where it downloads nothing."""
        return None

    @property
    def prepare_arguments(self) -> str:
        """What to write after `gcn-jax data prepare` for this data set."""
        return self.name

    def is_prepared(self) -> bool:
        """Return whether preparation has ended well, now or in an earlier run."""
        return (Path(self.data_path) / "dataset_info.json").exists()

    def raw_splits(self) -> Iterable[tuple[str, Sequence[Pair]]] | None:
        """Go through the splits of the user's folder and their pairs; None without a folder."""
        return None

    def examine(self, pair: Pair) -> Examined:
        """Read one pair and find all that is wrong with it."""
        num_classes = len(self.classes.names)
        return examine(pair, self._load_image, self._load_label, num_classes)

    def look(self, pair: Pair) -> Seen:
        """Read and check one pair, and keep of it what is compared with the others."""
        key, image_path, mask = pair
        names = (str(image_path), str(mask))
        image, label, problems, image_facts, mask_facts = self.examine(pair)
        seen = see(key, names, image, label, problems, len(self.classes.names))
        return seen._replace(image=image_facts, mask=mask_facts)

    def consistency(self) -> Consistency:
        """Return what compares the files with one another."""
        # Without colours: those of a published class need not be those of a mask's palette.
        table = ClassTable(self.classes.names)
        return Consistency(self.name, table, bit_depth=self.bit_depth)

    def download_and_prepare(self, **kwargs) -> None:
        """Prepare as TFDS does, but show one bar of our own; files are compared on the way."""
        refuse(self.problems)
        self._consistency = self.consistency()
        self._bar = ProgressBar(stderr=True)
        shown_before = getattr(tqdm_utils, "_active", True)  # TFDS has a setter only
        tqdm_utils.display_progress_bar(False)
        try:
            super().download_and_prepare(**kwargs)
        finally:
            self._bar.__exit__()
            tqdm_utils.display_progress_bar(shown_before)
        for remark in self._consistency.remarks():
            say(f"remark: {remark}")

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        """Take a config of our own as it is: TFDS would warn of it."""
        if isinstance(builder_config, tfds.core.BuilderConfig):
            return builder_config
        return super()._create_builder_config(builder_config, version)

    def _log_download_bytes(self) -> None:
        pass  # TFDS would print that the size is unknown

    def _log_download_done(self) -> None:
        pass

    def _track(self, items: Sequence, split: str) -> Iterator:
        """Go through what a split consists of, and show how far that is."""
        # The bar appears now, and not earlier: a download has one of its own.
        return self._bar.track(items, len(items), f"{self.name}:{split}")

    def _extra_features(self) -> dict[str, tfds.features.FeatureConnector]:
        return {}

    def _info(self) -> tfds.core.DatasetInfo:
        names = list(self.classes.names)
        return _Info(
            builder=self,
            description=inspect.cleandoc(self.__doc__ or "").partition("\nArgs:")[0].strip(),
            homepage=self.homepage,
            citation=self.citation,
            supervised_keys=("image", "label"),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.LabeledImage(shape=(None, None, 1), labels=names),
                    **self._extra_features(),
                }
            ),
        )

    def ids(self, split: str) -> tuple[str, ...]:
        """List the ids of a split of the prepared data set, in its order.

        Raises:
            Problem: The prepared copy is damaged.
        """
        with reading_prepared(self.data_path):
            ids = tuple(self._known_of(split)["ids"])
            if not all(isinstance(key, str) for key in ids):
                raise ValueError(f"metadata.json has ids of {split} that are no texts")
            if len(ids) != self.info.splits[split].num_examples:
                raise ValueError(f"metadata.json has {len(ids)} ids of {split}")
            return ids

    @property
    def image_dtype(self) -> np.dtype:
        """The type of the images of the prepared data set: uint16 where any of them is.

        Raises:
            Problem: The prepared copy is damaged.
        """
        if self.channels == 3:
            return np.dtype(np.uint8)
        with reading_prepared(self.data_path):
            deep = [self._known_of(split).get("is_deep") for split in self.info.splits]
        return np.dtype(np.uint16 if any(deep) else np.uint8)

    def label_statistics(self, split: str) -> LabelStatistics:
        """Return the statistics of a split's labels; of none where they are not public.

        Raises:
            Problem: The prepared copy is damaged.
        """
        with reading_prepared(self.data_path):
            statistics = LabelStatistics.from_json(self._known_of(split)["labels"])
            shape = (len(self.classes.names),)
            if type(statistics.void) is not int or any(
                counts.shape != shape or counts.dtype.kind != "i"
                for counts in (statistics.pixels, statistics.image_pixels, statistics.images)
            ):
                raise ValueError(f"metadata.json has no counts of the classes of {split}")
            return statistics

    def _known_of(self, split: str) -> Mapping[str, Any]:
        if split not in self.info.metadata:
            raise ValueError(f"metadata.json has nothing about {split}")
        return self.info.metadata[split]

    def _keep(
        self, split: str, ids: Sequence[str], statistics: LabelStatistics, **others: Any
    ) -> None:
        """Keep what is known of a split as a whole, once all of it was seen."""
        self.info.metadata[split] = {"ids": list(ids), "labels": statistics.to_json(), **others}

    def _load_label(self, path: Any) -> tuple[np.ndarray, files.MaskFacts | None]:
        """Read one mask as labels of the class table, uint8 `[H, W]`, and its properties.

        The values of a published set are its own business; their colours must be the same in all
        files.
        """
        mask, facts = files.load_mask(path)
        return mask, facts._replace(values=())

    def _load_image(self, path: Path) -> tuple[np.ndarray, images.ImageFacts]:
        if self.channels != 3:
            return load_channels(path, self.channels, self.bit_depth)
        return images.load_image(path, self.bit_depth)

    def _encoded_image(self, path: Path, examined: Examined) -> io.BytesIO:
        """The file as it is; anew with 8 bits where only we know which of its 16 are used."""
        facts = examined.image_facts
        if self.channels != 3 and examined.image is not None:
            encoded = io.BytesIO()
            np.save(encoded, examined.image)
            return io.BytesIO(encoded.getvalue())
        if examined.image is None or facts is None or not facts.is_deep or self.bit_depth is None:
            return io.BytesIO(path.read_bytes())
        return images.encode_png(examined.image)

    def _generate_examples(self, pairs: Sequence[Pair], split: str) -> Iterator:
        """Yield one checked example for each pair."""
        num_classes = len(self.classes.names)
        ids, statistics = [], LabelStatistics.empty(num_classes)
        is_deep = False
        for key, image_path, mask in self._track(pairs, split):
            examined = self.examine((key, image_path, mask))
            refuse(examined.problems[:1])
            if examined.image is not None and examined.image_facts is not None:
                size = examined.image.shape[:2]
                is_deep |= examined.image.dtype == np.uint16
                self._consistency.add_image(split, str(image_path), examined.image_facts, size)
            if examined.mask_facts is not None:
                self._consistency.add_mask(split, str(mask), examined.mask_facts)
            encoded_label = io.BytesIO()
            if examined.label is not None:
                statistics += LabelStatistics.of(examined.label, num_classes)
                encoded_label = images.encode_png(examined.label)
            ids.append(key)
            yield (
                key,
                {
                    "id": key,
                    "image": self._encoded_image(image_path, examined),
                    "label": encoded_label,
                },
            )
        refuse(split_problems(self.name, split, len(ids), statistics))
        refuse(list(self._consistency.problems()))
        self._keep(split, ids, statistics, **({"is_deep": True} if is_deep else {}))
