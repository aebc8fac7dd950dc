"""Your own images, 20 to 200 of them: one linear layer on the features of DINOv2.

    python train.py --config configs/linear.py --config.data.manual_dir=/path/to/my_data

`my_data` is a folder as for `folder.py`. The start is facebook/dinov2-small of the Hugging Face
hub (Apache-2.0), which is downloaded once; other sizes are `--config.model.name=linear_dinov2_base`
with `--config.backbone_weights=hf://facebook/dinov2-base`, and so on. The backbone stays as it is:
its features of each image, as it is and mirrored, are computed once and kept in
`~/.cache/gcn_jax/features`, where runs with another head, rate or loss find them. Images are seen
whole, up to 1,024 x 1,024 pixels; make larger ones smaller (masks without interpolation), or train
on random crops, whose features are computed at every step:
`--config.data.cache_features=False --config.augment.scale="(0.5, 2.0)"`. It ends by itself after 10
evaluations without progress, and the best checkpoint is kept. No score yet: no published weights
were at hand.

With random weights and 8 images of 360 x 480 pixels in a step (CPU seconds of two cores of an AMD
EPYC, other work beside, 2026-11-27): 1.0 for the features of an image, 0.36 for a step on them,
8.7 for one without. So 1,000 steps on 80 images and their mirror images, and 20 of validation, take
about 540, and 8,700 without kept features, besides what each validation computes.
"""

from gcn_jax.training import default_config
from gcn_jax.training.config import model_settings


def get_config():
    """Return the settings."""
    config = default_config()
    config.data.train = ("folder:train",)
    config.data.val = "folder:val"

    config.model = model_settings("linear_dinov2_small")
    config.backbone_weights = "hf://facebook/dinov2-small"
    config.data.cache_features = True
    config.augment.crop_size = None  # the largest image
    config.loss.class_weights = "inverse_log"  # at most 50; those of rare classes stay bounded

    config.batch_size = 8
    config.num_steps = 1_000
    config.optimizer.learning_rate = 0.05
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 50

    config.eval_every = 50
    config.checkpoint_every = 50
    config.patience = 10
    config.eval_batch_size = 4
    return config
