"""The first run: a Global Convolutional Network learns the embedded data set `shapes`.

    python train.py --config configs/quickstart.py

Draws 3,300 images, trains a small GCN with k = 15 on a CPU from scratch, and writes a page of
pictures, runs/quickstart/report.html. On 2 cores of an AMD EPYC, jax 0.10.2: validation mIoU 0.71,
2 min 51 s including the installation. Boundary refinement is off and upsampling is bilinear: on a
CPU these two, at full resolution, would take half of the time.
"""

from gcn_jax.training import default_config


def get_config():
    """Return the settings."""
    config = default_config()
    config.data.train = ("shapes:train",)
    config.data.val = "shapes:val"

    config.model.name = "gcn_plain4"
    config.model.kernel_size = 15
    config.model.boundary_refinement = False
    config.model.upsampling = "bilinear"

    config.augment.crop_size = (128, 128)
    config.augment.flip = True

    config.batch_size = 8
    config.num_steps = 600
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.optimizer.warmup_steps = 200  # without, it diverges
    config.optimizer.clip_norm = 1.0

    config.log_every = 50
    config.eval_every = 100  # a curve of six points on the page
    config.checkpoint_every = 300
    config.eval_batch_size = 20
    return config
