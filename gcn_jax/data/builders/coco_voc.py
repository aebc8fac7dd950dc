"""COCO's instances as labels of VOC's 21 classes: 99,310 images by the count of the GCN paper.

Lin et al., *Microsoft COCO: Common Objects in Context* (ECCV 2014), cocodataset.org.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from gcn_jax.data.builders.coco_instances import Instances, read_instances
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.folder_config import folder_config
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.builders.published_classes import VOC_CLASSES
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.problems import Pair
from gcn_jax.errors import UserError, check_choice

_URL = "http://images.cocodataset.org"

#: Year -> what to download: the instances, and the images of train and val.
ARCHIVES = {
    "2014": (
        Archive(
            f"{_URL}/annotations/annotations_trainval2014.zip",
            "sha256:031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
        ),
        Archive(
            f"{_URL}/zips/train2014.zip",
            "sha256:ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        ),
        Archive(
            f"{_URL}/zips/val2014.zip",
            "sha256:fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        ),
    ),
    "2017": (
        Archive(
            f"{_URL}/annotations/annotations_trainval2017.zip",
            "sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        ),
        Archive(
            f"{_URL}/zips/train2017.zip",
            "sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        ),
        Archive(
            f"{_URL}/zips/val2017.zip",
            "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        ),
    ),
}


class CocoVoc(PublishedBuilder):
    """COCO with the labels of VOC, from a folder of the user's or by download.

    The splits are those of COCO, train2014 and val2014 (or 2017), and train, which is both: what
    the paper's first stage trains on. The two years are the same images, divided differently.
    Images without an object of the 20 classes are left out; `coco_instances` says how instances
    become labels. An id is COCO's number of the image, 12 digits.

    Args:
        root: The user's folder; see `PublishedBuilder`. The prepared copy is made anew when
            the files of annotations change.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
        year: 2014 or 2017.
        min_area: Leave out images whose objects of the 20 classes have less than this in all,
            pixels; 0 for none. (CRF-RNN: 200; torchvision: 1000; the GCN paper names none.)
        archives: Others than the published ones, in the order of `ARCHIVES`.
    """

    homepage = "https://cocodataset.org"
    citation = """@inproceedings{lin2014microsoft,
  title = {Microsoft {COCO}: Common Objects in Context},
  author = {Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona, Pietro
            and Ramanan, Deva and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2014}
}"""
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=f"{year}-min0", description=f"The split of {year}, images with any object."
        )
        for year in ARCHIVES
    ]

    def __init__(
        self,
        root: str | None = None,
        data_dir: str | None = None,
        year: int = 2014,
        min_area: int = 0,
        archives: tuple[Archive, ...] | None = None,
        config: Any = None,
        **tfds_arguments: Any,
    ):
        named = re.match(r"(\d+)-min(\d+)", getattr(config, "name", config) or "")
        if named:
            year, min_area = map(int, named.groups())
        check_choice("year of COCO", str(year), ARCHIVES)
        if min_area < 0:
            raise UserError(f"coco_voc: coco_min_area is {min_area}; it is 0 or more, in pixels")
        self._year, self._min_area = year, min_area
        self._names = (f"train{year}", f"val{year}")
        images = [f"{name}|images/{name}" for name in self._names]
        annotations = [f"annotations/instances_{name}.json" for name in self._names]
        layout = f"the folder of annotations/, {'/, '.join(self._names)}/, or a folder above"
        self.forms = (Form(layout, (*annotations, *images), ARCHIVES[str(year)]),)
        others = {
            f"{part}{other}*": f"of {other}"
            for part in ("annotations_trainval", "train", "val", "test")
            for other in ARCHIVES
            if other != str(year)
        }
        self.look_alikes = {"stuff_*": "of stuff, not instances", **others}
        variant = f"{year}-min{min_area}"
        super().__init__(root, data_dir, archives, variant, config, **tfds_arguments)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "CocoVoc":
        """Build from `config.data`: `manual_dir`, `coco_year` (2014), `coco_min_area` (0)."""
        return cls(
            root=settings.get("manual_dir"),
            data_dir=settings.get("data_dir"),
            year=settings.get("coco_year") or 2014,
            min_area=settings.get("coco_min_area") or 0,
        )

    @property
    def classes(self) -> ClassTable:
        """The 21 classes of VOC."""
        return VOC_CLASSES

    @property
    def collection(self) -> str:
        """COCO's photographs, whose numbers both years share."""
        return "coco"

    @property
    def combined_splits(self) -> dict[str, str]:
        """`train`, every image with labels that the year has."""
        return {"train": "+".join(self._names)}

    @property
    def prepare_arguments(self) -> str:
        """The name, and the settings that make another data set of it."""
        return f"{self.name} --coco_year={self._year} --coco_min_area={self._min_area}"

    def _folder_config(self, folder: Path) -> tfds.core.BuilderConfig:
        watched = [(split, _annotations(folder, split)) for split in self._names]
        return folder_config(folder, self.classes.names, {"annotations": watched})

    def _split_generators(self, dl_manager):
        del dl_manager  # the archives are fetched without TensorFlow's file system
        root = self._unpacked()
        return {split: self._read_and_generate(root, split) for split in self._names}

    def raw_splits(self) -> Iterator[tuple[str, list[Pair]]] | None:  # type: ignore[override]
        """The pairs of each split, where a folder is given."""
        if not (self._folder or self._files):
            return None
        root = self._unpacked()
        return ((split, self._pairs(root, split)) for split in self._names)

    def _read_and_generate(self, root: Path, split: str) -> Iterator:
        """Generate one split, whose annotations (1 GB in memory) are read only when it is due."""
        yield from self._generate_examples(self._pairs(root, split), split)

    def _pairs(self, root: Path, split: str) -> list[Pair]:
        images = Form.find(root, f"{split}|images/{split}") or root / split
        instances = read_instances(_annotations(root, split), self._min_area)
        return [(one.key, images / one.file_name, one) for one in instances]

    def _load_label(self, instances: Instances) -> tuple[np.ndarray, None]:
        return instances.rasterise(), None


def _annotations(root: Path, split: str) -> Path:
    return root / f"annotations/instances_{split}.json"
