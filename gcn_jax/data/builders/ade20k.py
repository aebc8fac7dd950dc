"""ADE20K's benchmark of 150 classes (MIT Scene Parsing): 20,210 train and 2,000 val images.

Zhou et al., *Semantic Understanding of Scenes through the ADE20K Dataset* (IJCV 2019),
sceneparsing.csail.mit.edu.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data import files
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.builders.published_classes import ade20k_classes
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.problems import Pair


class Ade20k(PublishedBuilder):
    """ADE20K's 150 classes from the folder `ADEChallengeData2016` or its archive.

    The folder holds `images/` and `annotations/`, each with `training/` and `validation/`, which
    become train and val. In the published masks 0 is "other objects", and void here; 1 to 150
    become labels 0 to 149. Names are the first ones of `objectInfo150.txt`, with "_" for spaces,
    colours those of `color150.mat`, two of which are the same (road and skyscraper).
    """

    homepage = "http://sceneparsing.csail.mit.edu/"
    citation = """@article{zhou2019semantic,
  title = {Semantic understanding of scenes through the {ADE20K} dataset},
  author = {Zhou, Bolei and Zhao, Hang and Puig, Xavier and Xiao, Tete and Fidler, Sanja and
            Barriuso, Adela and Torralba, Antonio},
  journal = {International Journal of Computer Vision},
  volume = {127},
  number = {3},
  pages = {302--321},
  year = {2019}
}"""
    forms = (
        Form(
            "ADEChallengeData2016 (images/training/, annotations/training/, ...), or a folder "
            "above",
            ("images/training", "annotations/training"),
            (
                Archive(
                    "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
                    "sha1:219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
                ),
            ),
        ),
    )
    look_alikes: Mapping[str, str] = {
        "ade20k_20*": "the full ADE20K with its thousands of names, not the benchmark of 150",
        "release_test*": "the test images alone",
        "annotations_instance*": "the benchmark of instances",
    }

    @property
    def classes(self) -> ClassTable:
        """The 150 classes, in the order of the published numbers."""
        return ade20k_classes()

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        folders = {"train": "training", "val": "validation"}
        return {
            split: [
                (image.stem, image, root / f"annotations/{folder}/{image.stem}.png")
                for image in sorted((root / "images" / folder).glob("*.jpg"))
            ]
            for split, folder in folders.items()
            if (root / "images" / folder).is_dir()
        }

    def _load_label(self, path: Path) -> tuple[np.ndarray, files.MaskFacts | None]:
        label, facts = super()._load_label(path)
        # 0 wraps around to 255, which is void; a published 255, which there is none of, is refused.
        return np.where(label == IGNORE_LABEL, IGNORE_LABEL - 1, label - 1).astype(np.uint8), facts
