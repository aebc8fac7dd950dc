"""Your own images, 20 to 200 of them: one linear layer on the features of DINOv2.

    python train.py --config configs/linear.py --config.data.manual_dir=/path/to/my_data

`my_data` is a folder as for `folder.py`. The start is facebook/dinov2-small of the Hugging Face
hub (Apache-2.0), which is downloaded once; other sizes are `--config.model.name=linear_dinov2_base`
with `--config.backbone_weights=hf://facebook/dinov2-base`, and so on. The backbone stays as it is,
so that a step costs little more than a prediction; its features are computed anew in each. Crops
have the size of your images, but at most 256 x 256 pixels or as many on a CPU, and 512 x 512 on a
GPU. It ends by itself after 10 evaluations without progress, and the best checkpoint is kept. Not
run yet: no published weights were at hand.
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
    config.augment.crop_size = None  # from the images
    config.augment.scale = (0.5, 2.0)
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
