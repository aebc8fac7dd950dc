"""Stage 2 of the paper's recipe for PASCAL VOC 2012: SBD + VOC (10,582 images), padded to 512.

    python train.py --config configs/stage2.py

It starts from the best checkpoint of `runs/stage1`; another is `--config.init_from=FOLDER`.
Its data sets are prepared once: see `stage1.py`.

What is the paper's and what is ours: see `stage1.py`; the number of steps here is 20 passes.
Hardware, time and score: not run.
"""

from gcn_jax.configs import stage1


def get_config():
    """Return the settings."""
    config = stage1.get_config()
    config.init_from = "runs/stage1"
    config.data.train = ("sbd:train_noval", "voc_segmentation:train")
    config.augment.crop_size = (512, 512)
    config.num_steps = 20 * 10_582
    config.optimizer.learning_rate = 1e-5
    return config
