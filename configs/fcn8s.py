"""FCN-8s on PASCAL VOC 2012 with SBD (10,582 images), all at once.

    python train.py --config configs/fcn8s.py

It starts from torchvision's ImageNet weights of VGG-16, which it downloads from PyTorch's
server (they are under a BSD licence); without a network name a file,
`--config.backbone_weights=vgg16.pth`. `--config.model.name=fcn32s_vgg16` (or `fcn16s_vgg16`) leaves
out the finer scores. The data sets are prepared once:

    gcn-jax data prepare sbd voc_segmentation

The reference code's (fcn.berkeleyvision.org, "voc-fcn8s-atonce"): one whole image in a batch, no
augmentation, SGD with momentum 0.99 and a constant rate of 1e-10 (twice that for biases), weight
decay 5e-4, 300,000 steps, bilinear deconvolutions that do not learn. Its loss is a sum over pixels,
ours their mean. At 500 x 375 = 187,500 pixels the same steps are made with 187,500 times the rate,
1.9e-5, and with the weight decay divided by that number, 2.7e-9: as good as none.

Ours: the training set (theirs: 8,498 images of SBD), padding to 512 x 512 with void, torchvision's
weights and their preprocessing in place of Caffe's, and no constant factors at the skips (theirs
multiplies pool4 by 0.01 and pool3 by 0.0001). The paper trains 32s, 16s and 8s one after the other:
`fcn32s.py`, `fcn16s.py`, `fcn8s_staged.py`.
Hardware, time and score: not run.
"""

from gcn_jax.configs.common import voc_rival

_PIXELS = 500 * 375


def get_config():
    """Return the settings."""
    config = voc_rival("fcn8s_vgg16")
    config.backbone_weights = "imagenet"
    config.augment.crop_size = (512, 512)
    config.augment.flip = False

    config.num_devices = 1
    config.batch_size = 1
    config.num_steps = 300_000
    config.optimizer.learning_rate = 1e-10 * _PIXELS
    config.optimizer.bias_multiplier = 2.0
    config.optimizer.momentum = 0.99
    config.optimizer.weight_decay = 5e-4 / _PIXELS
    config.optimizer.schedule = "constant"

    config.eval_every = 20_000
    config.checkpoint_every = 5_000
    return config
