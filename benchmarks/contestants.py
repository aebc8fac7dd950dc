"""One network, ours and PyTorch's, ready to be timed: the same shapes, precision, optimiser, loss.

A contestant is `build(case) -> {"step": ..., "forward": ...}`, two functions without arguments that
return when the device is done. "step": uint8 images and labels, normalisation, forward with
dropout, mean cross-entropy without void of the logits and of those that have a loss beside them,
backward, SGD with momentum and weight decay on kernels. "forward": uint8 images to logits of every
pixel, with the running statistics of batch-norm.
"""

import dataclasses
import functools
import resource
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

NUM_CLASSES = 21
RATE, MOMENTUM, DECAY = 1e-3, 0.9, 5e-4
Runs = dict[str, Callable[[], None]]

#: Name of `models.create_model` -> title in reports.
TITLES = {
    "gcn_resnet50": "GCN-ResNet-50",
    "gcn_resnet152": "GCN-ResNet-152",
    "fcn8s_vgg16": "FCN-8s",
    "segnet": "SegNet",
    "deeplab_largefov": "DeepLab-LargeFOV",
    "deeplab_v2_resnet101": "DeepLab-v2-ResNet-101",
    "pspnet_resnet101": "PSPNet-ResNet-101",
}

#: The same of today's networks, whose other side is a library's (`torch_modern.py`).
MODERN_TITLES = {
    "segformer_b0": "SegFormer-B0",
    "upernet_convnext_tiny": "UPerNet-ConvNeXt-T",
    "unet_resnet34": "U-Net-ResNet-34",
    "deeplabv3plus_resnet50": "DeepLabV3+-ResNet-50",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A case to time: a network of `TITLES` or `MODERN_TITLES`, and a batch of square images.

    `dtype` is "float32" or "bfloat16".
    """

    model: str
    size: int
    batch: int
    dtype: str

    def __str__(self):
        size = f"{self.size} x {self.size}"
        title = (TITLES | MODERN_TITLES)[self.model]
        return f"{title}, {size} px, batch {self.batch}, {self.dtype}"

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw images uint8 `[N, H, W, 3]` and labels uint8 `[N, H, W]`, a tenth of them void."""
        rng = np.random.default_rng(0)
        shape = (self.batch, self.size, self.size)
        labels = rng.integers(0, NUM_CLASSES, shape, np.uint8)
        labels[rng.random(shape) < 0.1] = 255
        return rng.integers(0, 256, (*shape, 3), np.uint8), labels


class Program(NamedTuple):
    """The programs that `train.py` and `predict.py` compile, and what they call them with.

    Attributes:
        step: State and batch to the next state and metrics; the state is donated.
        forward: Variables and images to logits.
        state: Parameters, statistics and momentum, at the start.
        batch: Images and labels.
    """

    step: Callable
    forward: Callable
    state: Any
    batch: dict[str, Any]


class Functions(NamedTuple):
    """What `train.py` and `predict.py` compile of a network, without any arrays.

    Attributes:
        create: Makes the state that a training begins with, of a key.
        step: State and batch to the next state and metrics.
        forward: Variables and images to logits.
    """

    create: Callable
    step: Callable
    forward: Callable


def our_functions(model: str, dtype: str) -> Functions:
    """Build our network, its training step and its forward pass.

    Args:
        model: A name of `models.create_model`.
        dtype: "float32" or "bfloat16", of the computation.
    """
    from gcn_jax import models
    from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, normalize
    from gcn_jax.training.config import default_config
    from gcn_jax.training.optimizer import make_optimizer, make_schedule
    from gcn_jax.training.state import create_state
    from gcn_jax.training.step import make_train_step

    settings = default_config().optimizer
    settings.update(learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY, schedule="constant")
    tx = make_optimizer(settings, make_schedule(settings, 1), frozen_batch_norm=False)
    network = models.create_model(model, num_classes=NUM_CLASSES, dtype=dtype)
    return Functions(
        lambda key: create_state(network, tx, key, ema=False),
        make_train_step(network, tx, mean=IMAGENET_MEAN, std=IMAGENET_STD, seed=0),
        lambda variables, image: network.apply(
            variables, normalize(image, IMAGENET_MEAN, IMAGENET_STD)
        ),
    )


def model_info(model: str):
    """Return the `ModelInfo` of a network that was not trained.

    Args:
        model: A name of `models.create_model`.
    """
    from gcn_jax.models import ModelInfo
    from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD

    return ModelInfo(
        name=model,
        fields={"num_classes": NUM_CLASSES},
        class_names=tuple(f"class {i}" for i in range(NUM_CLASSES)),
        palette=((0, 0, 0),) * NUM_CLASSES,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def our_program(case: Case) -> Program:
    """Build what trains our network and what predicts with it, and the arrays for both."""
    import jax

    from gcn_jax.cli import process

    process.keep_freed_memory()
    create, step, forward = our_functions(case.model, case.dtype)
    step, forward = jax.jit(step, donate_argnums=0), jax.jit(forward)
    state = jax.jit(create)(jax.random.key(0))
    images, labels = map(jax.device_put, case.data())
    return Program(step, forward, state, {"image": images, "label": labels})


def ours(case: Case) -> Runs:
    """Build what `train.py` and `predict.py` run."""
    import jax

    step, forward, state, batch = our_program(case)

    def run_step():
        nonlocal state
        state, _ = step(state, batch)
        jax.block_until_ready(state)

    def run_forward():
        forward(state.variables, batch["image"]).block_until_ready()

    return {"step": run_step, "forward": run_forward}


def theirs(case: Case, *, compiled: bool = False) -> Runs:
    """Build a case in PyTorch: channels last, autocast, fused SGD, TF32 where JAX uses it.

    Args:
        case: The case.
        compiled: Whether `torch.compile` is used.
    """
    import torch

    if case.model in MODERN_TITLES:
        from benchmarks.torch_modern import MODERN_TWINS as TWINS
    else:
        from benchmarks.torch_networks import TWINS
    from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    network = TWINS[case.model](NUM_CLASSES)
    network = network.to(device, memory_format=torch.channels_last)
    kernels = [p for p in network.parameters() if p.ndim == 4]
    others = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": kernels, "weight_decay": DECAY}, {"params": others}],
        lr=RATE,
        momentum=MOMENTUM,
        fused=True,
    )
    images, labels = (torch.from_numpy(array).to(device) for array in case.data())
    mean, std = (torch.tensor(x, device=device) for x in (IMAGENET_MEAN, IMAGENET_STD))
    autocast = torch.autocast(device, torch.bfloat16, enabled=case.dtype == "bfloat16")

    def normalized():
        return ((images.float() - mean) / std).permute(0, 3, 1, 2)

    def logits():
        with autocast:
            return network(normalized())

    def loss():
        with autocast:
            return network.loss(network(normalized()), labels.long())

    if compiled:
        logits, loss = torch.compile(logits), torch.compile(loss)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def run_step():
        network.train()
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
        wait()

    def run_forward():
        network.eval()
        with torch.inference_mode():
            logits()
        wait()

    return {"step": run_step, "forward": run_forward}


#: Name -> builder. The ratios of a report are to "torch", PyTorch without a compiler.
CONTESTANTS = {
    "gcn_jax": ours,
    "torch": theirs,
    "torch.compile": functools.partial(theirs, compiled=True),
}


def peak_memory(contestant: str) -> int:
    """Return the most bytes that arrays of this process took on its GPU.

    On a CPU it is the most memory that the process has held.

    Args:
        contestant: Which of `CONTESTANTS` it runs.
    """
    if contestant == "gcn_jax":
        import jax

        if statistics := jax.local_devices()[0].memory_stats():  # None on a CPU
            return statistics["peak_bytes_in_use"]
    else:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
