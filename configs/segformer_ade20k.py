"""SegFormer-B0 on ADE20K: 20,210 images, 150 classes, by its authors' recipe.

    python train.py --config configs/segformer_ade20k.py
    python evaluate.py --ckpt runs/segformer_ade20k --protocol segformer_ade20k_512

It starts from NVIDIA's ImageNet weights of MiT-B0 (hf://nvidia/mit-b0, for research and evaluation,
not for commerce), which it downloads from the Hugging Face hub; without a network name a file,
`--config.backbone_weights=FILE`. Its data set is prepared once:

    gcn-jax data prepare ade20k --manual_dir ADEChallengeData2016.zip

The authors' (github.com/NVlabs/SegFormer, local_configs/segformer/B0/
segformer.b0.512x512.ade.160k.py): batches of 16 crops of 512 on 8 GPUs, 160,000 steps, AdamW with a
learning rate of 0.00006 (10 times that for the head) and weight decay 0.01, the poly schedule with
power 1 after a linear warm-up of 1,500 steps, scales from 0.5 to 2, mirroring, photometric
distortion, stochastic depth 0.1. OpenMMLab, by the same recipe, has 37.4 mIoU on val
(mmsegmentation, configs/segformer/README.md).

Ours: biases have no weight decay, and all norms none (theirs: the encoder's); the warm-up starts at
0 instead of a millionth of the rate; scales are drawn log-uniformly, from the image's own size
(theirs: from a shorter side of 512); crops may be of one class (theirs: up to three quarters);
brightness, contrast and saturation alone change, each a little and always (theirs: more, half of
the time, and the hue). Hardware, time and score: not run to its end; score unknown.
"""

from gcn_jax.configs.common import adamw_160k


def get_config():
    """Return the settings."""
    config = adamw_160k("segformer_b0", "ade20k")
    config.optimizer.learning_rate = 6e-5
    config.optimizer.weight_decay = 0.01
    config.optimizer.head_multiplier = 10.0
    return config
