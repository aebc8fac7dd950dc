"""Recipes of the studies: one for each data set, the same for all that is compared."""

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from ml_collections import ConfigDict

from gcn_jax.configs import camvid_cpu, quickstart, stage1, stage2, stage3
from gcn_jax.errors import UserError, check_choice
from gcn_jax.inference import Inference
from gcn_jax.inference.crf import crf_parameters


def base_config(data: str) -> ConfigDict:
    """Return the settings of a study on a data set, but for the network itself.

    Args:
        data: A key of `RECIPES`.

    Raises:
        UserError: There is no recipe for it.
    """
    check_choice("--data", data, RECIPES)
    return RECIPES[data]()


def set_values(
    config: ConfigDict, settings: Sequence[str], decided: Collection[str] = ()
) -> ConfigDict:
    """Change settings by "key=value" texts, such as "num_steps=300", as `--config.key=value` does.

    Args:
        config: The settings, which are changed.
        settings: The texts.
        decided: Names of settings that the study decides itself for each run.

    Returns:
        The config.

    Raises:
        UserError: A key is unknown, or decided, or a value is of another type.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if path in decided:
            raise UserError(f"--set {setting}: what is compared decides {path}; leave it out")
        *sections, key = path.split(".")
        try:
            section = config
            for name in sections:
                section = section[name]
            if not equals or key not in section:
                raise KeyError(f"there is no setting {path!r}, or no value; write it as key=value")
            section[key] = read_value(text)
        except (KeyError, TypeError) as error:
            raise UserError(f"--set {setting}: {error.args[0]}") from None
    return config


def read_value(text: str) -> Any:
    """Read the value of KEY=VALUE: a number, a truth value, a tuple or else a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def set_stage(config: ConfigDict, data: str, stage: int) -> None:
    """Change settings to those of a stage of the recipe (Table 7).

    On VOC the stages are the paper's: COCO + SBD + VOC at 640 px, SBD + VOC at 512 px, VOC. Other
    data sets have no others to start from. There stage 1 shows the images at other scales, and the
    stages after it show them as they are, with a tenth of the rate before and no warm-up.

    Args:
        config: The settings, which are changed.
        data: A key of `RECIPES`.
        stage: 1, 2 or 3.
    """
    if data == "voc":
        paper = (stage1, stage2, stage3)[stage - 1].get_config()
        config.data.train = paper.data.train
        config.augment.crop_size = paper.augment.crop_size
        config.num_steps = paper.num_steps
        config.optimizer.learning_rate = paper.optimizer.learning_rate
    elif stage == 1:
        config.augment.scale = (0.5, 1.5)
    else:
        config.augment.scale = None
        config.optimizer.learning_rate *= 0.1 ** (stage - 1)
        config.optimizer.warmup_steps = 0
        config.num_steps //= 2


#: The meaning of "ms" and "ms_crf" of a cell; the paper gives neither scales nor CRF parameters.
INFERENCES: Mapping[str, Inference] = {
    "single": Inference(),
    "ms": Inference(scales=(0.75, 1.0, 1.25), flip=True),
    "ms_crf": Inference(
        scales=(0.75, 1.0, 1.25), flip=True, crf=crf_parameters("deeplab_v2_resnet101")
    ),
}


def _shapes(data: str = "shapes", size: int = 128) -> ConfigDict:
    """A backbone that sees 31 x 31 of 128 x 128 pixels, and puts out a map of 16 x 16 x 96."""
    config = quickstart.get_config()
    config.data.train, config.data.val = (f"{data}:train",), f"{data}:val"
    config.augment.crop_size = (size, size)
    config.model.boundary_refinement = True
    config.data.cache_in_memory = True
    config.eval_train_images = 300  # as many as of val
    config.eval_every = config.checkpoint_every = 500
    return config


def _camvid() -> ConfigDict:
    """ResNet-18 from scratch, on crops of 160 x 224 pixels at half to full scale."""
    config = camvid_cpu.get_config()
    config.model.kernel_size = 15
    config.augment.jitter = 0.0
    config.eval_train_images = 100  # as many as of val
    config.eval_every = config.checkpoint_every = 500
    return config


def _voc() -> ConfigDict:
    """The paper's: ResNet-152 from ImageNet, 10,582 images padded to 512 x 512 (section 4.1)."""
    config = stage2.get_config()
    config.init_from = None
    config.optimizer.learning_rate = stage1.get_config().optimizer.learning_rate
    config.log_every, config.eval_every = 50, 500
    return config


def voc_from_scratch() -> ConfigDict:
    """Return the settings of a comparison on VOC, that of CamVid with crops of 224 x 224 pixels.

    `RECIPES["voc"]` trains with one image a step and frozen batch-norm, as only a network with
    pretrained weights can.
    """
    config = _camvid()
    paper = _voc().data
    config.data.train, config.data.val = paper.train, paper.val
    config.data.cache_in_memory = False
    config.augment.crop_size = (224, 224)
    return config


RECIPES: Mapping[str, Callable[[], ConfigDict]] = {
    "shapes": _shapes,
    "shapes_outlines": partial(_shapes, "shapes_outlines"),
    "shapes_thin": partial(_shapes, "shapes_thin"),
    "shapes_large": partial(_shapes, "shapes_large", size=256),
    "shapes_few": partial(_shapes, "shapes_few"),
    "camvid": _camvid,
    "voc": _voc,
}
