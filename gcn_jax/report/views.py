"""What a contact sheet shows: a split, or what a config trains on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gcn_jax import data
from gcn_jax.errors import UserError
from gcn_jax.models.preprocessing import IMAGENET_MEAN
from gcn_jax.training.initial_weights import with_preprocessing


class View(NamedTuple):
    """Images in the order of training.

    Attributes:
        source: Where they come from.
        augment: The transform of training; None for the images as they are.
        seed: Of order and augmentation.
    """

    source: data.Source | data.Mixture
    augment: data.Augment | None
    seed: int = 0


def split_view(spec: str, options: Mapping[str, Any], augment: Mapping[str, Any] | None) -> View:
    """View one split.

    Args:
        spec: `"name:split"`.
        options: The `data` section of a config; see `data.make_builder`.
        augment: The `augment` section of a config; padding has ImageNet's mean colour. None for
            the images as they are.

    Raises:
        UserError: See `data.open_split`; or it is to be augmented and has no labels, or there is
            no crop size.
    """
    source = data.open_split(spec, options)
    if augment is None:
        return View(source, None)
    if not source.is_labelled:
        raise UserError(f"{source.name} has no labels to train with; drop --augmented")
    if augment.get("crop_size") is None:
        raise UserError('--augmented needs --augment.crop_size="(height, width)", or --config=FILE')
    return View(source, data.Augment(**augment, fill=IMAGENET_MEAN))


def config_view(config: ConfigDict, workdir: str | Path, augmented: bool) -> View:
    """View what a config trains on.

    Args:
        config: The settings of a run.
        workdir: Of the run, which need not exist; see `with_preprocessing`.
        augmented: Whether to show what training makes of the images.

    Raises:
        UserError: See `data.open_training_source` and `with_preprocessing`.
    """
    source = data.open_training_source(config.data.train, config.data)
    if not augmented:
        return View(source, None, config.seed)
    config = with_preprocessing(config, workdir)  # the colour of padding
    return View(source, data.Augment(**config.augment, fill=config.data.mean), config.seed)
