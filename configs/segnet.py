"""SegNet on PASCAL VOC 2012 with SBD (10,582 images).

    python train.py --config configs/segnet.py

It starts from torchvision's ImageNet weights of VGG-16 with batch-norm, which it downloads from
PyTorch's server (they are under a BSD licence); without a network name a file,
`--config.backbone_weights=vgg16_bn.pth`. Its data sets are prepared once: see `fcn8s.py`.

The paper's (section 4) and its tutorial's: SGD with momentum 0.9, a constant rate of 0.001 (twice
that for biases) for the mean loss of a pixel, as here, batches of 5 images, weight decay 5e-4,
40,000 steps, no class weights. (For CamVid the tutorial has some:
`--config.loss.class_weights=median_frequency`.)

Ours: the data set (the paper's are CamVid and SUN RGB-D), padding to 512 x 512 with void, flips,
and weights of a network with batch-norm (theirs has none, and starts batch-norm anew).
Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("segnet")
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (512, 512)

    config.num_devices = 1
    config.batch_size = 5
    config.num_steps = 40_000
    config.optimizer.learning_rate = 1e-3
    config.optimizer.bias_multiplier = 2.0
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 5e-4
    config.optimizer.schedule = "constant"

    config.checkpoint_every = 2_500
    return config
