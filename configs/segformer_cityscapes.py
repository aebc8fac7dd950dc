"""SegFormer-B0 on Cityscapes: 2,975 images, 19 classes, by its authors' recipe.

    python train.py --config configs/segformer_cityscapes.py
    python evaluate.py --ckpt runs/segformer_cityscapes --protocol segformer_cityscapes

It starts from NVIDIA's ImageNet weights of MiT-B0 (hf://nvidia/mit-b0, for research and evaluation,
not for commerce), which it downloads from the Hugging Face hub; without a network name a file,
`--config.backbone_weights=FILE`. Its data set is prepared once, of the archives that docs/data.md
names:

    gcn-jax data prepare cityscapes --manual_dir ~/Downloads

The authors' (github.com/NVlabs/SegFormer, local_configs/segformer/B0/
segformer.b0.1024x1024.city.160k.py): batches of 8 crops of 1024 on 8 GPUs, 160,000 steps, AdamW
with a learning rate of 0.00006 (10 times that for the head) and weight decay 0.01, the poly
schedule with power 1 after a linear warm-up of 1,500 steps, scales from 0.5 to 2, mirroring,
photometric distortion, stochastic depth 0.1. OpenMMLab, by the same recipe, has 76.5 mIoU on val
(mmsegmentation, configs/segformer/README.md).

Ours: biases have no weight decay, and all norms none (theirs: the encoder's); the warm-up starts at
0 instead of a millionth of the rate; scales are drawn log-uniformly; crops may be of one class
(theirs: up to three quarters); brightness, contrast and saturation alone change, each a little and
always (theirs: more, half of the time, and the hue). Hardware, time and score: not run to its end;
score unknown.
"""

from gcn_jax.configs.common import adamw_160k


def get_config():
    """Return the settings."""
    config = adamw_160k("segformer_b0", "cityscapes")
    config.optimizer.learning_rate = 6e-5
    config.optimizer.weight_decay = 0.01
    config.optimizer.head_multiplier = 10.0
    return config
