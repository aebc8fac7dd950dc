r"""ResNet-GCN classifies single drawn objects, from scratch, on a laptop's CPU.

    python train.py --config configs/classify.py

Draws 3,300 images of 64 x 64 pixels with one object of ten classes (`single_shapes`), and trains
ResNet-50-GCN (the paper's Figure 5) to name it; `val/pixel_accuracy` is the accuracy. Beside it,
ResNet-50: --config.model.backbone=resnet50. Your own images, in folders train/CLASS and val/CLASS:

    python train.py --config configs/classify.py --config.data.train="('image_folder:train',)" \
        --config.data.val=image_folder:val --config.data.manual_dir=FOLDER

What it learns can start a network for segmentation, as in the paper's Table 6:

    python train.py --config configs/quickstart.py --config.model.name=gcn_resnet50_gcn \
        --config.backbone_weights=runs/classify

Measured on 2 cores of an AMD EPYC, jax 0.10.2: accuracy 0.68 on the 300 images of val after 600
steps (0.26 after 200, 0.46 after 400; to guess is 0.10), at 16 to 22 images/s, so in 8 minutes
where nothing else runs. `zero_init_residual` matters: without it the loss was 2.33 after 350 steps
(guessing: 2.30), with a rate of 0.05 and gradients clipped to 20.
"""

from gcn_jax.training import default_config
from gcn_jax.training.config import model_settings


def get_config():
    """Return the settings."""
    config = default_config()
    config.model = model_settings("classifier")
    config.model.backbone = "resnet50_gcn"
    config.model.zero_init_residual = True

    config.data.train = ("single_shapes:train",)
    config.data.val = "single_shapes:val"
    config.augment.crop_size = (64, 64)
    config.augment.flip = True

    config.batch_size = 16
    config.num_steps = 600  # 3 passes over 3,000 images
    config.optimizer.learning_rate = 0.05
    config.optimizer.weight_decay = 1e-4
    config.optimizer.warmup_steps = 50
    config.optimizer.clip_norm = 5.0

    config.log_every = 50
    config.eval_every = 200
    config.checkpoint_every = 200
    config.eval_batch_size = 20
    return config
