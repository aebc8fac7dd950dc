"""Segmentation networks, and a classifier: Flax Linen modules, by class or by name.

Example:
    >>> from gcn_jax import models
    >>> model = models.create_model("gcn_resnet50", num_classes=21)
    >>> variables = jax.jit(model.init)(jax.random.key(0), images)
    >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W
"""

from gcn_jax.models.classifier import Classifier
from gcn_jax.models.deeplab_largefov import DeepLabLargeFOV
from gcn_jax.models.deeplab_v2 import DeepLabV2
from gcn_jax.models.deeplabv3 import DeepLabV3
from gcn_jax.models.deeplabv3plus import DeepLabV3Plus
from gcn_jax.models.fcn import FCN
from gcn_jax.models.fcn_resnet import FCNResNet
from gcn_jax.models.gcn import GCN, BoundaryRefine
from gcn_jax.models.gcn_heads import GlobalConv
from gcn_jax.models.linear import Linear
from gcn_jax.models.network import SegmentationNetwork
from gcn_jax.models.pretrained.info import ModelInfo, read_info
from gcn_jax.models.pretrained.predict import predict
from gcn_jax.models.pretrained.publishing import push_to_hub
from gcn_jax.models.pretrained.restore import Pretrained, from_pretrained, load_pretrained
from gcn_jax.models.pspnet import PSPNet
from gcn_jax.models.registry import create_model, list_models
from gcn_jax.models.segformer import SegFormer
from gcn_jax.models.segnet import SegNet
from gcn_jax.models.unet import UNet
from gcn_jax.models.upernet import UPerNet

__all__ = [
    "FCN",
    "GCN",
    "BoundaryRefine",
    "Classifier",
    "DeepLabLargeFOV",
    "DeepLabV2",
    "DeepLabV3",
    "DeepLabV3Plus",
    "FCNResNet",
    "GlobalConv",
    "Linear",
    "ModelInfo",
    "PSPNet",
    "Pretrained",
    "SegFormer",
    "SegNet",
    "SegmentationNetwork",
    "UNet",
    "UPerNet",
    "create_model",
    "from_pretrained",
    "list_models",
    "load_pretrained",
    "predict",
    "push_to_hub",
    "read_info",
]
