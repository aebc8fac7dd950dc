"""The second part of `camvid_imagenet.py`: crops almost of the images' size, up to twice as fine.

    python train.py --config configs/camvid_imagenet_large.py

It starts from the best checkpoint of `runs/camvid_imagenet`; another is
`--config.init_from=FOLDER`.
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
