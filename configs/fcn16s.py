"""FCN-16s on PASCAL VOC 2012 with SBD: the second stage, from FCN-32s.

    python train.py --config configs/fcn16s.py

It starts from the best checkpoint of `runs/fcn32s`; another is `--config.init_from=FOLDER`. The
scores of pool4 are new: they start at zero, so that the network begins with the predictions of
FCN-32s (interpolated in two steps, which rounds corners off). The rate is a hundredth of that of
FCN-32s, as in the reference code; the paper, whose recipe is another, divides its own by 100 where
it adds skips.

The rest: see `fcn32s.py`. Hardware, time and score: not run.
"""

from gcn_jax.configs import fcn32s

from gcn_jax.training.config import model_settings


def get_config():
    """Return the settings."""
    config = fcn32s.get_config()
    config.model = model_settings("fcn16s_vgg16")
    config.init_from = "runs/fcn32s"
    config.init_except = ("score_pool4",)
    config.optimizer.learning_rate /= 100
    return config
