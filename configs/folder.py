"""Your own images and masks: no code, a folder and a list of class names.

    python train.py --config configs/folder.py --config.data.manual_dir=/path/to/my_data

`my_data` holds `classes.txt` (one class name a line, label 0 first) and either VOC's layout
(`JPEGImages/`, `SegmentationClass/`, `ImageSets/Segmentation/train.txt` and `val.txt`) or two
parallel folders `images/` and `masks/`; docs/data.md lists what else is taken as it is. Where 0 in
the masks means "unlabelled" and 1 is the first class, as in ADE20K, add
`--config.data.reduce_zero_label=True`: where the last class never occurs, nothing else tells.

The start is torchvision's ImageNet weights, which are downloaded once; without a network the
message says where to put the file, and `--config.backbone_weights=None` starts from scratch. The
settings suit a few hundred photographs on one GPU; for a CPU take `finetune.py`, or add
`--config.model.name=gcn_resnet18 --config.batch_size=8 --config.augment.crop_size="(192, 192)"`. A
transformer or ConvNeXt needs AdamW: `finetune.py:NETWORK`.
"""

from gcn_jax.training import default_config


def get_config():
    """Return the settings."""
    config = default_config()
    config.data.train = ("folder:train",)
    config.data.val = "folder:val"

    config.model.name = "gcn_resnet50"
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (384, 384)
    config.augment.scale = (0.5, 2.0)
    config.augment.jitter = 0.3

    config.batch_size = 16
    config.num_steps = 10_000
    config.optimizer.learning_rate = 0.02
    config.optimizer.warmup_steps = 200
    return config
