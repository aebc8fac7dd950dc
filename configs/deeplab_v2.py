"""DeepLab-v2 with ResNet-101 on PASCAL VOC 2012: SBD + VOC (10,582 images), by its own recipe.

    python train.py --config configs/deeplab_v2.py

It starts from torchvision's ImageNet weights, which it downloads from PyTorch's server; without
a network name a file, `--config.backbone_weights=resnet101.pth`. Its data sets are prepared once:

    gcn-jax data prepare sbd voc_segmentation

The authors' (paper, section 4.1, and Caffe model): batches of 10 crops of 321, 20,000 steps, SGD
with momentum 0.9 and weight decay 0.0005, a learning rate of 2.5e-4 (10 times that for the kernels
of the pyramid, 20 times for its biases) under the poly schedule, random scales from 0.5 to 1.5,
mirroring, frozen batch-norm, and a loss for every input scale and for their maximum, each against
labels of the size of its scores.

Ours: torchvision's place of the strides, as its weights need it (the authors' place is the model
`deeplab_v2_resnet101_caffe`), scales drawn continuously, and no training on COCO before, from which
the authors start: `--config.init_from=FOLDER` takes a run on it.
The dense CRF of the paper is `evaluate.py --crf`. Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival


def get_config():
    """Return the settings."""
    config = voc_rival("deeplab_v2_resnet101")
    config.backbone_weights = "imagenet"
    config.model.frozen_batch_norm = True
    config.augment.crop_size = (321, 321)
    config.augment.scale = (0.5, 1.5)

    config.batch_size = 10
    config.num_steps = 20_000
    config.optimizer.learning_rate = 2.5e-4
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 5e-4
    config.optimizer.schedule = "poly"
    config.optimizer.poly_power = 0.9
    config.optimizer.head_multiplier = 10.0
    config.optimizer.bias_multiplier = 2.0
    return config
