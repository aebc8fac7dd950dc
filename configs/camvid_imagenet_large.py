"""The second part of `camvid_imagenet.py`: crops almost of the images' size, up to twice as fine.

    python train.py --config configs/camvid_imagenet_large.py

It starts from the best checkpoint of `runs/camvid_imagenet`; another is
`--config.init_from=FOLDER`. Measured on two cores of an AMD EPYC that did other work beside, jax
0.10.2, 2026-11-27, after that run: 79 minutes, validation mIoU 0.693, and 0.710 by

    python evaluate.py --ckpt runs/camvid_imagenet_large --flip --scales 0.75,1,1.25

which on the test split (`--split test`) gave 0.614, and 0.594 without flips and scales. The test
split was looked at after all was chosen on the validation split, once for this start and once for
that from scratch: after such a first run validation 0.627 and 0.639, test 0.471 and 0.480
(2026-11-28).
"""

from gcn_jax.configs import camvid_imagenet


def get_config():
    """Return the settings."""
    config = camvid_imagenet.get_config()
    config.backbone_weights = None
    config.init_from = "runs/camvid_imagenet"
    config.augment.crop_size = (352, 448)
    config.augment.scale = (0.8, 2.0)
    config.num_steps = 1_470  # 24 passes
    config.optimizer.learning_rate = 0.01
    config.optimizer.warmup_steps = 50
    config.eval_every = 245
    config.checkpoint_every = 245
    return config
