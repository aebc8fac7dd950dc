"""FCN-8s on PASCAL VOC 2012 with SBD: the third stage, from FCN-16s.

    python train.py --config configs/fcn8s_staged.py

It starts from the best checkpoint of `runs/fcn16s`; another is `--config.init_from=FOLDER`. The
scores of pool3 are new: they start at zero. The rate is a hundredth of that of FCN-16s, as in the
reference code; the paper, whose recipe is another, divides its own by 100 where it adds skips.

The rest: see `fcn32s.py`; without stages: `fcn8s.py`. Hardware, time and score: not run.
"""

from gcn_jax.configs import fcn16s

from gcn_jax.training.config import model_settings


def get_config():
    """Return the settings."""
    config = fcn16s.get_config()
    config.model = model_settings("fcn8s_vgg16")
    config.init_from = "runs/fcn16s"
    config.init_except = ("score_pool3",)
    config.optimizer.learning_rate /= 100
    return config
