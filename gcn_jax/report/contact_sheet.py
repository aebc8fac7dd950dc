"""A page of images with their labels: what a data set holds, or what training makes of it."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gcn_jax import IGNORE_LABEL, data
from gcn_jax.errors import UserError, setting
from gcn_jax.models.preprocessing import IMAGENET_MEAN, as_rgb
from gcn_jax.report import cases, html, pictures
from gcn_jax.training.crops import with_crop_size
from gcn_jax.training.initial_weights import with_preprocessing

#: Pictures are shrunk until no side is longer, in pixels.
_MAX_PICTURE_SIDE = 480
#: How strongly the colours of labels cover their image.
_ALPHA = 0.6
#: Void in a legend, as `pictures.hatch` draws it.
_VOID = {
    "name": "void",
    "color": "repeating-linear-gradient(135deg, #141414 0 3px, #ebebeb 3px 6px)",
}


class View(NamedTuple):
    """Images in the order of training.

    Attributes:
        source: Where they come from.
        augment: The transform of training; None for the images as they are.
        seed: The seed of order and augmentation.
    """

    source: "data.Source | data.Mixture"
    augment: "data.Augment | None"
    seed: int = 0


def split_view(spec: str, settings: Mapping[str, Any], augment: Mapping[str, Any] | None) -> View:
    """View one split.

    Args:
        spec: `"name:split"`.
        settings: The `data` section of a config; see `make_builder`.
        augment: The `augment` section of a config; padding has ImageNet's mean colour. None for
            the images as they are.

    Raises:
        UserError: See `data.open_split`; or it is to be augmented and has no labels, or there is
            no crop size.
    """
    source = data.open_split(spec, settings)
    if augment is None:
        return View(source, None)
    if not source.is_labelled:
        raise UserError(f"{source.name} has no labels to train with; drop --augmented")
    if augment.get("crop_size") is None:
        raise UserError(f'name a size to crop to, {setting("augment.crop_size")}="(height, width)"')
    num_classes, channels = len(source.class_names), settings.get("channels", 3)
    fill = IMAGENET_MEAN if channels == 3 else (np.mean(IMAGENET_MEAN),) * channels
    return View(source, data.Augment.from_settings(augment, num_classes, fill))


def config_view(config: ConfigDict, workdir: str | Path, augmented: bool) -> View:
    """View what a config trains on.

    Args:
        config: The settings of a run.
        workdir: The run's folder, which need not exist; see `with_crop_size` and
            `with_preprocessing`.
        augmented: Whether to show what training makes of the images.

    Raises:
        UserError: See `data.open_training_source` and `with_preprocessing`.
    """
    source = data.open_training_source(config.data.train, config.data)
    if not augmented:
        return View(source, None, config.seed)
    config = with_crop_size(config, workdir, source)
    config = with_preprocessing(config, workdir)  # the colour of padding
    num_classes = len(source.class_names)
    augment = data.Augment.from_settings(config.augment, num_classes, config.data.mean)
    return View(source, augment, config.seed)


def contact_sheet(view: View, path: str | Path, *, num_images: int = 24) -> Path:
    """Write a page of the images that training takes first, and of their labels.

    With the seed and the transform of a training run, these are the images of its first batches,
    in their order. Images as they are appear once at most.

    Args:
        view: What to show.
        path: The page to write.
        num_images: How many images.

    Returns:
        The path of the page.
    """
    from gcn_jax.data.pipeline import shuffled, training_examples  # here: it imports Grain

    source, augment, seed = view
    order = shuffled(source, seed)
    if augment is None:
        num_images = min(num_images, len(source))
        seen, subtitle = order, "Images and labels as they are"
    else:
        seen, subtitle = training_examples(source, augment, seed), "As training sees them"
    facts = {
        "images": f"{num_images:,} of {len(source):,}, in the order of seed {seed}",
        "sizes": "height x width",
    }
    page = {
        "title": source.name,
        "subtitle": subtitle,
        "facts": facts | (_settings(augment) if augment else {}),
        "legend_of_all": _legend(range(len(source.class_names)), source) + [_VOID],
        "cells": _cells(order, seen, num_images, source),
    }
    return html.write(path, "contact_sheet.html.jinja", page)


def _settings(augment: "data.Augment") -> dict[str, str]:
    fields = dataclasses.asdict(augment)
    fields["fill"] = ", ".join(f"{value:.0f}" for value in augment.fill)
    return {name: str(value) for name, value in fields.items()}


def _cells(
    order: Sequence[Mapping[str, Any]],
    seen: Sequence[Mapping[str, Any]],
    num_images: int,
    source: "data.Source | data.Mixture",
) -> Iterator[dict[str, Any]]:
    """Yield what the page shows of each image: whose it is, how it looks, which classes it has."""
    for i in range(num_images):
        original, example = order[i], seen[i]
        photo = Image.fromarray(np.ascontiguousarray(as_rgb(example["image"])))
        photo.thumbnail((_MAX_PICTURE_SIDE, _MAX_PICTURE_SIDE))
        panels, classes = {"image": photo}, []
        if "label" in example:
            label = pictures.shrink(example["label"], photo.size)
            painted = pictures.overlay(np.asarray(photo), label, source.palette, _ALPHA)
            panels["label"] = Image.fromarray(pictures.hatch(painted, label == IGNORE_LABEL))
            present = np.unique(example["label"])
            classes = _legend(present[present != IGNORE_LABEL], source)
            classes += [_VOID] * (IGNORE_LABEL in present)
        yield {
            "id": original["id"],
            "size": original["image"].shape[:2],
            "classes": classes,
            "panels": [
                {
                    "name": name,
                    "uri": pictures.data_uri(picture, "JPEG"),
                    "is_map": False,
                    "blinks": len(panels) > 1,
                }
                for name, picture in panels.items()
            ],
        }


def _legend(labels: Iterable[int], source: "data.Source | data.Mixture") -> list[dict[str, str]]:
    return cases.legend(labels, source.class_names, source.palette)
