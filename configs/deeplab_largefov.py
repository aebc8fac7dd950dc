"""DeepLab-LargeFOV on PASCAL VOC 2012 with SBD (10,582 images).

    python train.py --config configs/deeplab_largefov.py

It starts from torchvision's ImageNet weights of VGG-16 (fc6 and fc7 decimated), which it downloads
from PyTorch's server (they are under a BSD licence); without a network name a file,
`--config.backbone_weights=vgg16.pth`. Its data sets are prepared once: see `fcn8s.py`.

The original's (ICLR 2015, section 4.1, and its training prototxt): crops of 321 x 321, flips, the
labels of every eighth pixel, SGD with momentum 0.9 and weight decay 5e-4, batches of 30 images (in
the paper 20), 6,000 steps. The rate is 0.001 for the mean loss of a pixel, as here, ten times that
for the last layer and twice for biases; it drops to a tenth every 2,000 steps.

Ours: torchvision's weights and their preprocessing in place of Caffe's.
The dense CRF of the paper is `evaluate.py --crf`. Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("deeplab_largefov")
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (321, 321)

    config.batch_size = 30
    config.num_steps = 6_000
    config.optimizer.learning_rate = 1e-3
    config.optimizer.head_multiplier = 10.0
    config.optimizer.bias_multiplier = 2.0
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 5e-4
    config.optimizer.schedule = "step"
    config.optimizer.step_boundaries = (2_000, 4_000)

    config.log_every = 50
    config.eval_every = 2_000
    return config
