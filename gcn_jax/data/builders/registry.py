"""Data sets by name: their builders, and the preparation of one."""

from collections.abc import Mapping
from typing import Any

from gcn_jax.data.builders.ade20k import Ade20k
from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.builders.camvid import Camvid
from gcn_jax.data.builders.cityscapes import Cityscapes
from gcn_jax.data.builders.coco_voc import CocoVoc
from gcn_jax.data.builders.folder import Folder
from gcn_jax.data.builders.image_folder import ImageFolder
from gcn_jax.data.builders.oxford_pet import OxfordPet
from gcn_jax.data.builders.sbd import Sbd
from gcn_jax.data.builders.shapes import (
    Shapes,
    ShapesFew,
    ShapesLarge,
    ShapesOutlines,
    ShapesThin,
    SingleShapes,
)
from gcn_jax.data.builders.voc_segmentation import VocSegmentation
from gcn_jax.data.problems import reading_prepared, refuse
from gcn_jax.errors import UserError, check_choice, setting

#: Every data set that a config can name.
BUILDERS: dict[str, type[SegmentationBuilder]] = {
    "shapes": Shapes,
    "shapes_outlines": ShapesOutlines,
    "shapes_thin": ShapesThin,
    "shapes_large": ShapesLarge,
    "shapes_few": ShapesFew,
    "single_shapes": SingleShapes,
    "ade20k": Ade20k,
    "camvid": Camvid,
    "cityscapes": Cityscapes,
    "coco_voc": CocoVoc,
    "folder": Folder,
    "image_folder": ImageFolder,
    "oxford_pet": OxfordPet,
    "sbd": Sbd,
    "voc_segmentation": VocSegmentation,
}


def list_data_sets() -> list[str]:
    """Return the names of all data sets that a config can name, sorted."""
    return sorted(BUILDERS)


def make_builder(name: str, settings: Mapping[str, Any]) -> SegmentationBuilder:
    """Make the builder of a data set.

    Args:
        name: A key of `BUILDERS`.
        settings: The `data` section of a config: `data_dir`, where prepared data sets are kept
            (None: TFDS's own folder), `manual_dir`, a folder of the user's (for several data sets
            one that holds the folder of each; None or "none": what is prepared already, or a
            download), and what the builder's `from_settings` names.

    Raises:
        UserError: There is no such data set, or files of the folder are missing.
    """
    builder = make_unchecked_builder(name, settings)
    refuse(builder.problems)
    return builder


def make_unchecked_builder(name: str, settings: Mapping[str, Any]) -> SegmentationBuilder:
    """Make the builder of a data set whose `problems` are still to be looked at.

    Args:
        name: See `make_builder`.
        settings: See `make_builder`.

    Raises:
        UserError: There is no such data set.
    """
    check_choice("data set", name, BUILDERS)
    folder = settings.get("manual_dir")
    if folder is not None and folder.lower() in ("", "none"):  # as a command line can say it
        settings = {**settings, "manual_dir": None}
    if settings.get("channels", 3) != 3 and name != "folder":
        raise UserError(
            f"data.channels is {settings['channels']}, which is for a folder of yours; images of "
            f"{name} are read as RGB"
        )
    return BUILDERS[name].from_settings(settings)


def prepare_offline(builder: SegmentationBuilder) -> None:
    """Prepare a data set where that needs no download.

    Raises:
        UserError: It would have to be downloaded first, or one of its files is at fault.
    """
    if not builder.is_prepared() and builder.download:
        raise UserError(
            f"{builder.name} is not prepared; run `gcn-jax data prepare "
            f"{builder.prepare_arguments}` (it downloads {builder.download}), or name a folder "
            f"with {setting('data.manual_dir')}"
        )
    prepare(builder)


def prepare(builder: SegmentationBuilder) -> None:
    """Prepare a data set unless that is done: download, check every file, write ArrayRecords.

    Several runs may do so at once: one of them wins, and the others use its result.

    Args:
        builder: The data set.

    Raises:
        Problem: One of its files is at fault, or the prepared copy is damaged.
    """
    if not builder.is_prepared():
        print(f"Preparing {builder.name} in {builder.data_path}", flush=True)
        try:
            builder.download_and_prepare()
        except OSError:
            if not builder.is_prepared():  # otherwise another run was faster
                raise
    with reading_prepared(builder.data_path):
        builder.info.read_from_directory(builder.data_path)
