"""Stage 3 of the paper's recipe for PASCAL VOC 2012: VOC alone (1,464 images), padded to 512.

    python train.py --config configs/stage3.py

It starts from the best checkpoint of `runs/stage2`; another is `--config.init_from=FOLDER`.
Its data set is prepared once: see `stage1.py`.

What is the paper's and what is ours: see `stage1.py`; the number of steps here is 50 passes.
Hardware, time and score: not run.
"""

from gcn_jax.configs import stage1


def get_config():
    """Return the settings."""
    config = stage1.get_config()
    config.init_from = "runs/stage2"
    config.data.train = ("voc_segmentation:train",)
    config.augment.crop_size = (512, 512)
    config.num_steps = 50 * 1_464
    config.optimizer.learning_rate = 5e-6
    return config
