"""Your own images, 20 to 2,000 of them: a network that knows ImageNet learns your classes.

    python train.py --config configs/finetune.py --config.data.manual_dir=/path/to/my_data

`my_data` is a folder as for `folder.py`. The start is torchvision's ImageNet weights, which are
downloaded once; without a network the message says where to put the file. The network is small
enough for a CPU; on a GPU add `--config.model.name=gcn_resnet50`, or name any other behind a colon:

    python train.py --config configs/finetune.py:segformer_b0 --config.data.manual_dir=/path/to/data

With a transformer or ConvNeXt (`segformer_b0`, `upernet_convnext_tiny`, `gcn_mit_b0`,
`gcn_dinov2_small`) the optimiser is AdamW with SegFormer's rates: 6e-5 for the backbone, ten times
that for the head, weight decay 0.01. Crops have the size of your images, but at most 256 x 256
pixels or as many on a CPU, and 512 x 512 on a GPU. Classes are weighted by how rare they are. It
ends by itself after 10 evaluations without progress, and the best checkpoint is kept.

A ResNet's batch-norm takes the statistics of the batch. With less than four images at a time
(`optimizer.accumulate` above 2) keep those that it came with:

    --config.model.frozen_batch_norm=True --config.optimizer.learn_frozen_batch_norm=True \
        --config.optimizer.learning_rate=0.005

On 41 images of CamVid of 240 x 180 pixels, 400 steps (`--config.num_steps=400`), ResNet-18's
weights without the 3 x 3 kernels of its last stage: validation mIoU 0.517, and 0.384 from scratch
(means of three seeds; 2026-11-28, two CPU cores with other work beside, jax 0.10.2). With a
transformer or ConvNeXt it was not run. docs/recipes.md has the trials.
"""

from gcn_jax.configs.common import use_network

from gcn_jax.training import default_config


def get_config(network="gcn_resnet18"):
    """Return the settings.

    Args:
        network: One of `gcn_jax.models.list_models()`.
    """
    config = default_config()
    config.data.train = ("folder:train",)
    config.data.val = "folder:val"

    norm = use_network(config, network)
    config.augment.crop_size = None  # from the images
    config.augment.scale = (0.5, 2.0)
    config.augment.jitter = 0.3
    config.loss.class_weights = "inverse_log"  # at most 50; those of rare classes stay bounded

    config.batch_size = 8
    config.num_steps = 2_000
    if norm == "layer":
        config.optimizer.kind = "adamw"
        config.optimizer.learning_rate = 6e-5
        config.optimizer.weight_decay = 0.01
        config.optimizer.head_multiplier = 10.0
    else:
        # Networks without normalisation do not bear more.
        config.optimizer.learning_rate = 0.02 if norm == "batch" else 0.005
        config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 100
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.99

    config.eval_every = 100
    config.checkpoint_every = 100
    config.patience = 10
    config.eval_batch_size = 4
    return config
