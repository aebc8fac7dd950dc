"""DeepLabV3+ with ResNet-101 on PASCAL VOC 2012: SBD + VOC (10,582 images), by the paper's recipe.

    python train.py --config configs/deeplabv3plus.py

It starts from torchvision's ImageNet weights, which it downloads from PyTorch's server; without
a network name a file, `--config.backbone_weights=resnet101.pth`. Its data sets are prepared once:

    gcn-jax data prepare sbd voc_segmentation

The paper's (Chen et al. 2018, section 4, which takes it from DeepLabV3): batches of 16 crops of
513, 30,000 steps, SGD with momentum 0.9 and a learning rate of 0.007 under the poly schedule with
power 0.9, random scales from 0.5 to 2, mirroring, batch-norm over the whole batch, output stride
16. Weight decay, which it does not tell, is that of the authors' code, 0.00004.

Ours: scales are drawn log-uniformly; the network is that of segmentation_models.pytorch.
Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("deeplabv3plus_resnet101")
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (513, 513)
    config.augment.scale = (0.5, 2.0)

    config.batch_size = 16
    config.num_steps = 30_000
    config.optimizer.learning_rate = 0.007
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 4e-5
    config.optimizer.schedule = "poly"
    config.optimizer.poly_power = 0.9
    return config
