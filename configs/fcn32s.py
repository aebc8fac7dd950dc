"""FCN-32s on PASCAL VOC 2012 with SBD: the first of the paper's three stages.

    python train.py --config configs/fcn32s.py
    python train.py --config configs/fcn16s.py
    python train.py --config configs/fcn8s_staged.py

What it starts from, its data sets, what is the authors' and what is ours: see `fcn8s.py`, which is
FCN-8s at once. The stages have a third of its 300,000 steps each, as in the reference code
("voc-fcn32s" and so on). There 16s and 8s start from the last step of the stage before; here from
the best of those that were validated.
Hardware, time and score: not run.
"""

from gcn_jax.configs import fcn8s

from gcn_jax.training.config import model_settings


def get_config():
    """Return the settings."""
    config = fcn8s.get_config()
    config.model = model_settings("fcn32s_vgg16")
    config.num_steps = 100_000
    return config
