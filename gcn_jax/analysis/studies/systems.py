"""The systems that are compared: GCN and its rivals, at their own size and at a small one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gcn_jax.analysis.studies.recipes import base_config, voc_from_scratch
from gcn_jax.errors import check_choice
from gcn_jax.training.config import model_settings


class System(NamedTuple):
    """One system, as arguments of `models.create_model`.

    Attributes:
        full: As published (GCN on ResNet-101, as its rivals).
        reduced: For a CPU: ResNet-18, or a quarter of VGG-16's channels. VGG-16 has batch-norm
            there, without which it learns next to nothing from scratch in a short run.
        published: The mIoU on VOC 2012's test set in %, by its leaderboard; PSPNet's by its paper,
            as the leaderboard's entry was trained on COCO, too. None of networks that came later.
    """

    full: Mapping[str, Any]
    reduced: Mapping[str, Any]
    published: float | None = None


_NARROW_VGG = {"width": 0.25, "batch_norm": True}

SYSTEMS: Mapping[str, System] = {
    "gcn": System({"name": "gcn_resnet101"}, {"name": "gcn_resnet18"}, 83.6),
    "fcn8s": System({"name": "fcn8s_vgg16"}, {"name": "fcn8s_vgg16", **_NARROW_VGG}, 62.2),
    "segnet": System({"name": "segnet"}, {"name": "segnet", "width": 0.25}, 59.9),
    "deeplab_largefov": System(
        {"name": "deeplab_largefov"}, {"name": "deeplab_largefov", **_NARROW_VGG}, 72.7
    ),
    "deeplab_v2": System({"name": "deeplab_v2_resnet101"}, {"name": "deeplab_v2_resnet18"}, 79.7),
    "pspnet": System({"name": "pspnet_resnet101"}, {"name": "pspnet_resnet18"}, 82.6),
    "unet": System({"name": "unet_resnet101"}, {"name": "unet_resnet18"}),
    "deeplabv3plus": System(
        {"name": "deeplabv3plus_resnet101"}, {"name": "deeplabv3plus_resnet18"}
    ),
    "fpn": System({"name": "fpn_resnet101"}, {"name": "fpn_resnet18"}),
}

#: Those of the paper's last table, which are compared where none is named.
RIVALS = ("gcn", "fcn8s", "segnet", "deeplab_largefov", "deeplab_v2", "pspnet")

SIZES = ("reduced", "full")


def system_config(system: str, data: str, size: str) -> ConfigDict:
    """Return the settings of a system: one recipe for all of them.

    Args:
        system: A key of `SYSTEMS`.
        data: A key of `recipes.RECIPES`, whose recipe is taken; for "voc" `voc_from_scratch`.
        size: One of `SIZES`.

    Raises:
        UserError: A name is unknown.
    """
    check_choice("--models", system, SYSTEMS)
    check_choice("--size", size, SIZES)
    config = voc_from_scratch() if data == "voc" else base_config(data)
    fields = dict(getattr(SYSTEMS[system], size))
    config.model = model_settings(fields.pop("name"))
    config.model.update(fields)
    return config
