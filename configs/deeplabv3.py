"""DeepLabV3 with ResNet-101 on PASCAL VOC 2012: SBD + VOC (10,582 images), torchvision's recipe.

    python train.py --config configs/deeplabv3.py

It starts from torchvision's ImageNet weights, which it downloads from PyTorch's server; without
a network name a file, `--config.backbone_weights=resnet101.pth`. Its data sets are prepared once:

    gcn-jax data prepare sbd voc_segmentation

torchvision's (`references/segmentation`): batches of 32 crops of 480 (8 devices with 4 each), 30
passes, SGD with momentum 0.9, weight decay 0.0001 and a learning rate of 0.02 under the poly
schedule with power 0.9, mirroring, batch-norm over the whole batch, and an auxiliary loss on res4
with weight 0.5.

Ours: VOC's images, where torchvision trains on those of COCO with VOC's classes; factors of the
size drawn log-uniformly from 0.7 to 2.8, where it draws the shorter side evenly from 260 to 1,040
px (VOC's is about 375); one rate for all layers, where its auxiliary classifier has 10 times the
rate; no decay of biases and batch-norm.
Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("deeplabv3_resnet101")
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (480, 480)
    config.augment.scale = (0.7, 2.8)

    config.batch_size = 32
    config.num_steps = 10_000
    config.optimizer.learning_rate = 0.02
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule = "poly"
    config.optimizer.poly_power = 0.9
    return config
