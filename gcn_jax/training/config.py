"""Every setting of a training run, with its default; files in `configs/` change some of them."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, config_dict

from gcn_jax.errors import UserError, setting
from gcn_jax.models.registry import MODELS, model_fields
from gcn_jax.training.config_checks import check_reusable, check_values
from gcn_jax.workdir import Workdir

#: What may differ between a run and its continuation; a change of anything else is another run.
#: (After a change of the optimiser's settings the run goes on from where it was, with these.)
_MAY_CHANGE = (
    "optimizer.learning_rate",
    "optimizer.momentum",
    "optimizer.betas",
    "optimizer.eps",
    "optimizer.weight_decay",
    "optimizer.schedule",
    "optimizer.warmup_steps",
    "optimizer.poly_power",
    "optimizer.step_boundaries",
    "optimizer.step_factor",
    "optimizer.clip_norm",
    "optimizer.accumulate",
    "remat",
    "num_devices",
    "mesh.data",
    "mesh.height",
    "num_steps",
    "log_every",
    "eval_every",
    "patience",
    "eval_batch_size",
    "eval_train_images",
    "checkpoint_every",
    "trackers",
    "data.data_dir",
    "data.manual_dir",
    "data.num_threads",
    "data.cache_in_memory",
    "data.cache_features",
)

#: What a continuation may leave open (None): the workdir knows it.
_MAY_BE_OPEN = ("data.mean", "data.std", "augment.crop_size")


def default_config() -> ConfigDict:
    """Return the settings that `train.py` knows.

    A config file calls this, changes what it wants and returns it. On the command line every field
    can be set too: `--config.optimizer.learning_rate=0.02`.
    """
    config = ConfigDict()
    config.seed = 0
    # Devices to train on; 0 for all there are.
    config.num_devices = 0
    # Over how many of them examples are split ("data"), and the rows of each ("height", for crops
    # that are too large for one); -1 for what the other leaves (docs/training.md).
    config.mesh = ConfigDict()
    config.mesh.data = -1
    config.mesh.height = 1
    # Compute the inside of the backbone's blocks again for the gradient instead of keeping it: less
    # memory, more time (docs/performance.md). To the same end: optimizer.accumulate.
    config.remat = False

    # Arguments of gcn_jax.models.create_model; num_classes comes from the data. Another kind of
    # network has other settings: config.model = model_settings("segnet").
    config.model = model_settings("gcn_resnet50")

    # What a new run starts from, the first that is given: the best checkpoint of another workdir
    # (with a fresh optimiser); weights of a ResNet or VGG-16, a .pth or .safetensors file of
    # torchvision or timm, "imagenet" (torchvision's file for that backbone, downloaded once and
    # checked), "hf://owner/name" on the Hugging Face hub, or a workdir whose network has the same
    # backbone, such as a classifier; else the seed.
    config.init_from = config_dict.placeholder(str)
    config.backbone_weights = config_dict.placeholder(str)
    # Top-level layers (the first part of a parameter's path) that `init_from` does not fill: it may
    # lack them, have them in another shape, or have them where this network does not; here they
    # start from the seed. On the command line: --config.init_except='("a", "b")', with all quotes
    # (without them a,b is one name).
    config.init_except = ()
    # Layers of the backbone that `backbone_weights` does not fill, as patterns such as ("res5_*",).
    config.backbone_except = ()

    config.data = ConfigDict()
    # Data set and split; several are mixed, and weighted as in ("coco_voc:train*0.5",
    # "sbd:train_noval*3"): a pass shows half of the images of one, and three times those of the
    # other.
    config.data.train = ("shapes:train",)
    config.data.val = "shapes:val"
    config.data.data_dir = config_dict.placeholder(str)  # prepared data; None: TFDS's own folder
    config.data.manual_dir = config_dict.placeholder(str)  # a folder of yours that has the data
    # RGB in 0..255; None: those of the weights that the run starts from, without any ImageNet's.
    config.data.mean = config_dict.placeholder(tuple)
    config.data.std = config_dict.placeholder(tuple)
    config.data.coco_year = 2014  # 2014 (the paper's) or 2017
    config.data.coco_min_area = 0  # leave out COCO images with fewer px of VOC's classes
    # Of a folder of yours, where it cannot be guessed (docs/data.md): the end of masks' names that
    # images lack, such as "_mask"; whether 0 is void and 1 the first class, as in ADE20K; values of
    # the masks that are void like 255, such as (11,).
    config.data.mask_suffix = config_dict.placeholder(str)
    config.data.reduce_zero_label = False
    config.data.void_labels = ()
    # How many channels images have: 3 are RGB, of files of any kind (grey is repeated, alpha left
    # out). Another number, such as 1 or 4, is what files of a folder of yours store (docs/data.md).
    config.data.channels = 3
    # How many bits images of yours use whose files have 16, such as 12 of a camera; None: all. All
    # levels are kept if channels is not 3, of RGB the upper 8 bits.
    config.data.bit_depth = config_dict.placeholder(int)
    config.data.num_threads = 4  # that read and augment
    # Decode each training image once and keep it in memory (in every process), for a small set.
    config.data.cache_in_memory = False
    # Compute what a backbone that stays as it is makes of an image once, and keep it in
    # ~/.cache/gcn_jax/features (docs/training.md): where images are mirrored at most, not cropped.
    config.data.cache_features = False

    config.augment = ConfigDict()
    # Height, width, in px; None: from the size of the training images, at most 256 x 256 px or as
    # many on a CPU, 512 x 512 on other devices.
    config.augment.crop_size = (128, 128)
    config.augment.flip = True
    config.augment.scale = config_dict.placeholder(tuple)  # (lowest, highest) factor; None: off
    config.augment.jitter = 0.0  # of brightness, contrast, saturation; 0: off
    config.augment.rotation = 0.0  # the largest angle, in degrees, with probability 1/2; 0: off
    config.augment.blur = False  # with a 5 x 5 Gaussian, with probability 1/2
    config.augment.vertical_flip = False  # with probability 1/2
    config.augment.quarter_turns = False  # by 0, 90, 180 or 270 degrees, each as likely
    # A function of yours, extra(image, label, rng) -> (image, label) on NumPy arrays, as
    # "FILE.py:FUNCTION"; in a config file, f"{__file__}:FUNCTION" is one of its own. docs/data.md.
    config.augment.extra = config_dict.placeholder(str)

    # The weight of each loss in the sum that is minimised.
    config.loss = ConfigDict()
    config.loss.cross_entropy = 1.0
    config.loss.focal = 0.0
    config.loss.ohem = 0.0  # cross-entropy of the hard pixels of each image
    config.loss.dice = 0.0
    config.loss.lovasz_softmax = 0.0
    # Of cross_entropy, focal and ohem: "median_frequency", "inverse_log" or "balanced", from
    # the training labels, or one number for each class, such as "1,2.5,0.5"; None for ones.
    config.loss.class_weights = config_dict.placeholder(str)
    config.loss.label_smoothing = 0.0  # of cross_entropy, in [0, 1]
    config.loss.focal_gamma = 2.0
    config.loss.ohem_threshold = 0.7  # a pixel with a lower probability is hard
    config.loss.ohem_min_kept = 1 / 16  # share of an image's labelled pixels that is kept at least

    config.batch_size = 16  # images in a step, over all devices
    config.num_steps = 1000

    config.optimizer = ConfigDict()
    config.optimizer.kind = "sgd"  # or "adamw", for transformers and ConvNeXt: rates below 0.001
    config.optimizer.learning_rate = 0.01  # for the mean loss of a pixel
    config.optimizer.momentum = 0.9  # of sgd
    config.optimizer.betas = (0.9, 0.999)  # of adamw: what is kept of the averages of g and g^2
    config.optimizer.eps = 1e-8  # of adamw
    config.optimizer.weight_decay = 5e-4  # of kernels; not of norms, biases, positions and so on
    config.optimizer.schedule = "poly"  # constant, step, poly or cosine
    config.optimizer.warmup_steps = 0  # linear, from 0
    config.optimizer.poly_power = 0.9
    config.optimizer.step_boundaries = ()  # steps after which the rate drops (schedule "step")
    config.optimizer.step_factor = 0.1
    config.optimizer.head_multiplier = 1.0  # learning rate of all layers but the backbone's
    # Learning rate of the backbone's layers: times this for each layer, or stage, before the head
    # (docs/training.md).
    config.optimizer.layer_decay = 1.0
    config.optimizer.bias_multiplier = 1.0  # learning rate of the biases of convolutions
    # With model.frozen_batch_norm, whose statistics stay: whether its scales and biases learn.
    config.optimizer.learn_frozen_batch_norm = False
    config.optimizer.clip_norm = 0.0  # scale a gradient down to this global norm; 0: off
    config.optimizer.accumulate = 1  # parts of a batch that are computed one after the other
    config.optimizer.ema_decay = 0.0  # moving average of the weights, for evaluation; 0: off

    # In steps; the last step always counts.
    config.log_every = 50
    config.eval_every = 500
    # End after so many evaluations in a row without a better mIoU than the best; 0: off.
    config.patience = 0
    config.checkpoint_every = 500
    config.eval_batch_size = 16
    # An evaluation also scores so many training images, without augmentation: a network that
    # cannot fit them is told from one that learns them by heart. 0: off.
    config.eval_train_images = 50
    # Where metrics go besides metrics.jsonl: "tensorboard" (events in the workdir), "wandb",
    # "mlflow", "trackio" (docs/trackers.md). One that fails does not end the run.
    config.trackers = ("tensorboard",)
    return config


def model_settings(name: str) -> ConfigDict:
    """Return what can be set of a network, with its defaults.

    Args:
        name: One of `gcn_jax.models.list_models()`.

    Returns:
        `name`, and the fields of the module that neither the name nor the data nor
        `config.remat` decides; `dtype` is a string.

    Raises:
        UserError: There is no such network.
    """
    settings = ConfigDict({"name": name})
    for field, (kind, default) in model_fields(name).items():
        if field not in ("num_classes", "remat", "in_channels"):
            settings[field] = config_dict.placeholder(kind) if default is None else default
    return settings


def check_config(config: ConfigDict) -> None:
    """Check all settings, as far as it can be done without data and weights.

    Raises:
        UserError: Settings are of another type or outside their range, or the network has no such
            setting; the message names them all.
    """
    _check_fields(config.model)
    if config.init_except and not config.init_from:
        raise UserError(
            f"init_except={config.init_except} says what init_from does not fill, and there is no "
            f"init_from; name a workdir with {setting('init_from')}=FOLDER"
        )
    if config.backbone_except and not config.backbone_weights:
        raise UserError(
            f"backbone_except={config.backbone_except} says what backbone_weights does not fill, "
            f"and there is none; name {setting('backbone_weights')}=imagenet or a file"
        )
    values, defaults = flatten(config.to_dict()), flatten(default_config().to_dict())
    check_values(values, defaults)
    if config.data.cache_features:
        fields = {**MODELS[config.model.name][1], **config.model}
        check_reusable(values, defaults, is_frozen=bool(fields.get("frozen_backbone")))
    for key in ("mean", "std"):
        numbers = config.data[key]
        if numbers is not None and len(numbers) != config.data.channels:
            raise UserError(
                f"{setting(f'data.{key}')}={numbers}: must be {config.data.channels} numbers, one "
                "for each channel (data.channels)"
            )


def _check_fields(settings: ConfigDict) -> None:
    """Raise `UserError` for settings that a network has not, such as those of another kind."""
    name = settings.name
    known = model_fields(name).keys() | MODELS[name][1].keys()
    unknown = ", ".join(field for field in settings if field not in known | {"name"})
    if unknown:
        valid = ", ".join(field for field in model_settings(name) if field != "name")
        raise UserError(
            f"config.model.name is {name}, which has no {unknown}; it has {valid}. A network of "
            f"another kind needs a config file with config.model = model_settings({name!r})"
        )


def check_same_run(config: ConfigDict, workdir: str | Path) -> None:
    """Check that a workdir is new, or holds the run that a config describes.

    Args:
        config: The settings of the run.
        workdir: Its folder, which need not exist.

    Raises:
        UserError: It holds another run; the message lists the settings that differ.
    """
    folder = Workdir(workdir)
    if folder.origin_file.exists():
        raise UserError(
            f"{workdir} holds an imported network; to train it further, name another --workdir and "
            f"{setting('init_from')}={workdir}"
        )
    if not folder.config_file.exists():
        return
    try:
        before = folder.read_config()
    except UserError as error:  # the command says all that the file says
        warnings.warn(f"{error}; it is written anew from this command's settings", stacklevel=2)
        return
    differing = differing_settings(flatten(before), config)
    other = [
        f"{key} is {now}, was {before}"
        for key, (before, now) in differing.items()
        if key not in _MAY_CHANGE
        and not (key in _MAY_BE_OPEN and now is None)
        and not (key == "augment.extra" and _is_moved(before, now))
    ]
    if other:
        raise UserError(
            f"{workdir} holds another run ({'; '.join(other)}); name another --workdir, or "
            "use the settings of that run to go on with it"
        )


def _is_moved(before: str | None, now: str | None) -> bool:
    """Whether a file lies elsewhere now; `run.start` says where its content is another."""
    return bool(before and now) and Path(str(before)).name == Path(str(now)).name


def differing_settings(before: Mapping[str, Any], config: ConfigDict) -> dict[str, tuple[Any, Any]]:
    """Compare the settings of a run with those of a config.

    A setting that is younger than the run had its default there.

    Args:
        before: The settings of the run, as `json_settings` gave them.
        config: Other settings.

    Returns:
        The settings that differ, sorted by name: name -> (before, now).
    """
    now, default = json_settings(config), default_settings(config.model.name)
    pairs = {
        key: (before.get(key, default.get(key)), now.get(key))
        for key in sorted(before.keys() | now.keys())
    }
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def default_settings(network: str) -> dict[str, Any]:
    """Return every setting's default as JSON values by dotted name.

    Args:
        network: The name of the network whose settings `model` has.

    Raises:
        UserError: There is no such network.
    """
    config = default_config()
    config.model = model_settings(network)
    return json_settings(config)


def json_settings(config: ConfigDict) -> dict[str, Any]:
    """Return settings as JSON values by dotted name."""
    return flatten(json.loads(config.to_json()))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted names, such as `optimizer.learning_rate`.

    Args:
        tree: Settings and sections by their names.
        prefix: What the names begin with.
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
