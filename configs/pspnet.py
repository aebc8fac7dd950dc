"""PSPNet with ResNet-101 on PASCAL VOC 2012: SBD + VOC (10,582 images), by its own recipe.

    python train.py --config configs/pspnet.py

It starts from ImageNet weights of a ResNet-101 with the same stem of three convolutions (Gluon's,
in timm's form), which it downloads from the Hugging Face hub; without a network name a file,
`--config.backbone_weights=FILE`. Its data sets are prepared once:

    gcn-jax data prepare sbd voc_segmentation

The authors' (paper and Caffe model): batches of 16 crops of 473, 30,000 steps, SGD with
momentum 0.9 and weight decay 0.0001, a learning rate of 0.01 (10 times that for the kernels of new
layers, 20 times for the biases of the classifiers) under the poly schedule with power 0.9, random
scales from 0.5 to 2, rotation by up to 10 degrees, Gaussian blur, mirroring, batch-norm over the
whole batch, and an auxiliary loss on res4 with weight 0.4.

From their later code (github.com/hszhao/semseg): rotation and blur have probability 1/2 each, and
the blur is that of a 5 x 5 kernel.

Ours: scales are drawn log-uniformly, rotation comes before scaling and blur after the crop, which
makes no difference but at borders, and running statistics have momentum 0.9 (theirs 0.95).
Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("pspnet_resnet101")
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (473, 473)
    config.augment.scale = (0.5, 2.0)
    config.augment.rotation = 10.0
    config.augment.blur = True

    config.batch_size = 16
    config.num_steps = 30_000
    config.optimizer.learning_rate = 0.01
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule = "poly"
    config.optimizer.poly_power = 0.9
    config.optimizer.head_multiplier = 10.0
    config.optimizer.bias_multiplier = 2.0
    return config
