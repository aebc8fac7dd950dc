"""GCN with ResNet-101 on PASCAL VOC 2012 from ImageNet weights: SBD + VOC (10,582 images).

    python train.py --config configs/voc.py --config.data.manual_dir=ARCHIVES

For those who have no run of stage 1 on COCO. It starts from torchvision's ImageNet weights, which
it downloads once; without a network name a file,
`--config.backbone_weights=resnet101.pth`. ARCHIVES is the folder that holds
`VOCtrainval_11-May-2012.tar` and `benchmark.tgz`; without it, they are downloaded once by

    gcn-jax data prepare sbd voc_segmentation

`--dry_run` says what is missing. The network is the paper's (k = 15, boundary refinement), the
rest the usual recipe for VOC, as in `pspnet.py`: batches of 16 crops, 30,000 steps, scales from 0.5
to 2, SGD with momentum 0.9, weight decay 0.0001 and a rate of 0.01 (10 times that for new layers)
under the poly schedule.
Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("gcn_resnet101")
    config.model.kernel_size = 15
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (512, 512)
    config.augment.scale = (0.5, 2.0)

    config.batch_size = 16
    config.num_steps = 30_000
    config.optimizer.learning_rate = 0.01
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule = "poly"
    config.optimizer.head_multiplier = 10.0
    return config
