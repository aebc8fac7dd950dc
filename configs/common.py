"""Settings that several recipes share."""

from ml_collections import ConfigDict

from gcn_jax.models import create_model
from gcn_jax.models.backbones import BACKBONES
from gcn_jax.training import default_config
from gcn_jax.training.config import model_settings
from gcn_jax.weights.imagenet import FILES

#: Data set -> the crop and the batch of SegFormer's recipes.
_CROPS = {"ade20k": ((512, 512), 16), "cityscapes": ((1024, 1024), 8)}


def voc_rival(network: str) -> ConfigDict:
    """Return the settings that the rivals on PASCAL VOC 2012 have in common.

    They train on SBD + VOC (10,582 images) and validate on VOC's 1,449 images.

    Args:
        network: The name of the network.
    """
    config = default_config()
    config.data.train = ("sbd:train_noval", "voc_segmentation:train")
    config.data.val = "voc_segmentation:val"
    config.model = model_settings(network)
    config.augment.flip = True

    config.log_every = 100
    config.eval_every = 5_000
    config.checkpoint_every = 1_000
    config.eval_batch_size = 8
    return config


def adamw_160k(network: str, data_set: str) -> ConfigDict:
    """Return the settings that the recipes of SegFormer and of UPerNet on ConvNeXt share.

    160,000 steps of AdamW under the poly schedule with power 1, a linear warm-up of 1,500 steps,
    random scales from 0.5 to 2, mirroring, changes of colour, a start from ImageNet weights.

    Args:
        network: The name of the network.
        data_set: "ade20k" or "cityscapes".
    """
    config = default_config()
    config.data.train = (f"{data_set}:train",)
    config.data.val = f"{data_set}:val"
    config.model = model_settings(network)
    config.backbone_weights = "imagenet"
    config.augment.crop_size, config.batch_size = _CROPS[data_set]
    config.augment.flip = True
    config.augment.scale = (0.5, 2.0)
    config.augment.jitter = 0.25

    config.num_steps = 160_000
    config.optimizer.kind = "adamw"
    config.optimizer.betas = (0.9, 0.999)
    config.optimizer.schedule = "poly"
    config.optimizer.poly_power = 1.0
    config.optimizer.warmup_steps = 1_500

    config.log_every = 100
    config.eval_every = 16_000
    config.checkpoint_every = 1_000
    config.eval_batch_size = 4 if data_set == "ade20k" else 1
    return config


def use_network(config: ConfigDict, network: str) -> str:
    """Set a network, and that its backbone starts from its published weights, if there are any.

    Args:
        config: The settings of a recipe.
        network: The name of the network.

    Returns:
        The normalisation of that backbone: "batch" of a ResNet, "layer" of a transformer or
            ConvNeXt, "none" of VGG-16 as published.

    Raises:
        UserError: There is no such network.
    """
    model = create_model(network, num_classes=1)
    config.model = model_settings(network)
    config.backbone_weights = "imagenet"
    family, _, size = model.backbone_weights.partition("_")
    if family == "dinov2":  # which did not learn from ImageNet's labels
        size, registers, _ = size.partition("_reg")
        family = "dinov2-with-registers" if registers else "dinov2"
        config.backbone_weights = f"hf://facebook/{family}-{size}"
    elif model.backbone_weights not in FILES:
        config.backbone_weights = None
    if backbone := BACKBONES.get(getattr(model, "backbone", "")):
        return "batch" if backbone.batch_norm else "layer"
    # SegNet's VGG-16 always has it, that of the others by choice.
    return "batch" if getattr(model, "batch_norm", True) else "none"
