"""What a study trains with: one recipe for each data set, the same for all that is compared."""

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from gcn_jax.errors import UserError, check_choice
from gcn_jax.inference import Inference
from gcn_jax.inference.crf import crf_parameters
from gcn_jax.training import default_config


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
        config: Is changed, and returned.
        settings: The texts.
        decided: Settings that the study decides itself for each run.

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
    """Make settings those of a stage of the recipe (Table 7).

    On VOC the stages are the paper's: COCO + SBD + VOC at 640 px, SBD + VOC at 512 px, VOC. Other
    data sets have no others to start from. There stage 1 shows the images at other scales, and the
    stages after it show them as they are, with a tenth of the rate before and no warm-up.
    """
    if data == "voc":
        train = ("coco_voc:train", "sbd:train_noval", "voc_segmentation:train")
        config.data.train = train[stage - 1 :]
        config.augment.crop_size = (640, 640) if stage == 1 else (512, 512)
        config.num_steps = (3 * 109_892, 20 * 10_582, 50 * 1_464)[stage - 1]
        config.optimizer.learning_rate = (2e-5, 1e-5, 5e-6)[stage - 1]
    elif stage == 1:
        config.augment.scale = (0.5, 1.5)
    else:
        config.augment.scale = None
        config.optimizer.learning_rate *= 0.1 ** (stage - 1)
        config.optimizer.warmup_steps = 0
        config.num_steps //= 2


#: What "ms" and "ms_crf" of a cell are; the paper gives neither scales nor CRF parameters.
INFERENCES: Mapping[str, Inference] = {
    "single": Inference(),
    "ms": Inference(scales=(0.75, 1.0, 1.25), flip=True),
    "ms_crf": Inference(
        scales=(0.75, 1.0, 1.25), flip=True, crf=crf_parameters("deeplab_v2_resnet101")
    ),
}


def _shapes() -> ConfigDict:
    """A backbone that sees 31 x 31 of 128 x 128 pixels, and puts out a map of 16 x 16 x 96."""
    config = default_config()
    config.model.name = "gcn_plain4"
    config.model.upsampling = "bilinear"
    config.data.train, config.data.val = ("shapes:train",), "shapes:val"
    config.data.cache_in_memory = True
    config.augment.crop_size = (128, 128)
    config.batch_size = 8
    config.num_steps = 600
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.optimizer.warmup_steps = 200
    config.optimizer.clip_norm = 1.0
    config.eval_batch_size = 20
    return config


def _camvid() -> ConfigDict:
    """ResNet-18 from scratch, on crops of 160 x 224 pixels at half to full scale."""
    config = default_config()
    config.model.name = "gcn_resnet18"
    config.data.train, config.data.val = ("camvid:train",), "camvid:val"
    config.data.cache_in_memory = True
    config.augment.crop_size = (160, 224)
    config.augment.scale = (0.5, 1.0)
    config.batch_size = 8
    config.num_steps = 1_200
    config.optimizer.learning_rate = 0.03
    config.optimizer.weight_decay = 1e-4
    config.optimizer.warmup_steps = 100
    config.optimizer.clip_norm = 1.0
    config.eval_batch_size = 4
    return config


def _voc() -> ConfigDict:
    """The paper's: ResNet-152 from ImageNet, 10,582 images padded to 512 x 512 (section 4.1)."""
    config = default_config()
    config.model.name = "gcn_resnet152"
    config.model.frozen_batch_norm = True
    config.backbone_weights = "hf://timm/resnet152.tv_in1k"
    config.data.train = ("sbd:train_noval", "voc_segmentation:train")
    config.data.val = "voc_segmentation:val"
    config.augment.crop_size = (512, 512)
    config.num_devices = 1
    config.batch_size = 1
    config.num_steps = 20 * 10_582
    config.checkpoint_every = 5_000
    config.optimizer.learning_rate = 2e-5
    config.optimizer.momentum = 0.99
    config.eval_batch_size = 8
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
    "camvid": _camvid,
    "voc": _voc,
}
