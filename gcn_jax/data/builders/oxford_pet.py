"""Oxford-IIIT Pet: 7,349 cats and dogs with trimaps, 3,680 trainval and 3,669 test.

Parkhi et al., *Cats and Dogs* (CVPR 2012), www.robots.ox.ac.uk/~vgg/data/pets.
"""

from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data import files
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.problems import Pair

_URLS = (
    "https://www.robots.ox.ac.uk/~vgg/data/pets/data",
    "https://thor.robots.ox.ac.uk/~vgg/data/pets",
)

#: The number in the published trimaps -> label; 3 is the border, "not classified".
_LABELS = {1: 1, 2: 0, 3: IGNORE_LABEL}


def _archive(name: str, checksum: str) -> Archive:
    url, mirror = (f"{place}/{name}" for place in _URLS)
    return Archive(url, checksum, mirrors=(mirror,))


class OxfordPet(PublishedBuilder):
    """Oxford-IIIT Pet as two classes, background and pet, from its folder or its two archives.

    The folder holds `images/` and `annotations/` with `trimaps/`, `trainval.txt` and `test.txt`,
    whose splits keep their names. The trimap's border, "not classified", is void.
    """

    homepage = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
    citation = """@inproceedings{parkhi2012cats,
  title = {Cats and Dogs},
  author = {Parkhi, Omkar M. and Vedaldi, Andrea and Zisserman, Andrew and Jawahar, C. V.},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2012}
}"""
    forms = (
        Form(
            "the folder of images/ and annotations/trimaps/, or a folder above",
            ("images", "annotations/trimaps"),
            (
                _archive(
                    "images.tar.gz",
                    "sha256:67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
                ),
                _archive(
                    "annotations.tar.gz",
                    "sha256:52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
                ),
            ),
        ),
    )

    @property
    def classes(self) -> ClassTable:
        """Background and pet, with VOC's colours."""
        return ClassTable(("background", "pet"))

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        splits = {}
        for split in ("trainval", "test"):
            lines = files.read_lines(root / f"annotations/{split}.txt")
            keys = [line.split()[0] for line in lines if not line.startswith("#")]
            splits[split] = [
                (key, root / f"images/{key}.jpg", root / f"annotations/trimaps/{key}.png")
                for key in keys
            ]
        return splits

    def _load_label(self, path: Path) -> tuple[np.ndarray, files.MaskFacts | None]:
        label, facts = super()._load_label(path)
        labels = np.full(256, IGNORE_LABEL - 1, np.uint8)  # another number is refused
        labels[list(_LABELS)] = list(_LABELS.values())
        return labels[label], facts
