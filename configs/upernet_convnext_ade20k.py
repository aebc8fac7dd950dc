"""UPerNet with ConvNeXt-T on ADE20K: 20,210 images, 150 classes, by its authors' recipe.

    python train.py --config configs/upernet_convnext_ade20k.py
    python evaluate.py --ckpt runs/upernet_convnext_ade20k --protocol upernet_ade20k_512

It starts from torchvision's ImageNet weights, which it downloads from PyTorch's server; without a
network name a file, `--config.backbone_weights=convnext_tiny.pth`. Its data set is prepared once:

    gcn-jax data prepare ade20k --manual_dir ADEChallengeData2016.zip

The authors' (github.com/facebookresearch/ConvNeXt, semantic_segmentation/configs/convnext/
upernet_convnext_tiny_512_160k_ade20k_ss.py): batches of 16 crops of 512 on 8 GPUs, 160,000 steps,
AdamW with a learning rate of 0.0001 that falls by 0.9 from stage to stage, weight decay 0.05, the
poly schedule with power 1 after a linear warm-up of 1,500 steps, stochastic depth 0.4, an auxiliary
loss on res4 with weight 0.4, scales from 0.5 to 2, mirroring, photometric distortion, in half
precision (here: `--config.model.dtype=bfloat16`). Their score is 46.0 mIoU on val (README.md).

Ours: warm-up, scales, crops and colours as in `segformer_ade20k.py`; ImageNet weights are
torchvision's, of another training than the authors'. What decays is the same. Hardware, time and
score: not run to its end; score unknown.
"""

from gcn_jax.configs.common import adamw_160k


def get_config():
    """Return the settings."""
    config = adamw_160k("upernet_convnext_tiny", "ade20k")
    config.model.stochastic_depth = 0.4
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.05
    config.optimizer.layer_decay = 0.9
    return config
