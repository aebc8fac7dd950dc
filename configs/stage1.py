"""Stage 1 of the paper's recipe for PASCAL VOC 2012: COCO + SBD + VOC, padded to 640 x 640.

    python train.py --config configs/stage1.py

It starts from torchvision's ImageNet weights, which it downloads from PyTorch's server (they
are under a BSD licence); without a network name a file, `--config.backbone_weights=resnet152.pth`.
The data sets are prepared once, by a command that downloads them (about 25 GB) or reads folders
(`--manual_dir`):

    gcn-jax data prepare coco_voc sbd voc_segmentation

The paper's (section 4): 109,892 images, ResNet-152, k = 15, padding to 640, horizontal flips and
mean subtraction and nothing else, SGD with batch size 1, momentum 0.99, weight decay 0.0005.

Ours, because the paper does not say: the learning rate (per-pixel mean loss; FCN's 1e-10 for a
summed loss, whose batch size, momentum and weight decay the paper took over, is 2e-5 at 500 x 375
pixels), its poly schedule, the number of steps (three passes), and frozen batch-norm (one image is
too little for statistics). ImageNet's mean and deviation stand for the paper's mean. The weight
decay has the paper's number, but beside this mean loss: if the paper's loss is a sum, as FCN's, its
equal would be 0.0005 / 187,500 = 2.7e-9 (`fcn8s.py`), so that ours decays far more.
Hardware, time and score: not run.
"""

from gcn_jax.training import default_config


def get_config():
    """Return the settings."""
    config = default_config()
    config.data.train = ("coco_voc:train", "sbd:train_noval", "voc_segmentation:train")
    config.data.val = "voc_segmentation:val"

    config.backbone_weights = "imagenet"
    config.model.name = "gcn_resnet152"
    config.model.kernel_size = 15
    config.model.frozen_batch_norm = True
    config.augment.crop_size = (640, 640)
    config.augment.flip = True

    config.num_devices = 1
    config.batch_size = 1
    config.num_steps = 3 * 109_892
    config.optimizer.learning_rate = 2e-5
    config.optimizer.momentum = 0.99
    config.optimizer.weight_decay = 5e-4
    config.optimizer.schedule = "poly"

    config.log_every = 100
    config.eval_every = 20_000
    config.checkpoint_every = 5_000
    config.eval_batch_size = 8
    return config
