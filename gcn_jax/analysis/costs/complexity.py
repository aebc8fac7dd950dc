"""The costs of networks and of their parts: parameters, FLOPs, activation memory.

All three are counted from the traced program. Nothing is computed, no memory is taken and nothing
is compiled, so a ResNet-152 takes seconds on any machine.

* FLOPs are XLA's cost analysis of the program that is handed to the compiler, in the plain
  formulation of `models/layers`, whatever the device. A multiplication and an addition are two;
  products with the zeros of a padding, or between the pixels of a deconvolution, are not counted
  (a long kernel on a small map has many); additions, batch-norm and ReLU are.
* Activation memory is what the forward pass of training keeps of an image for the gradient of the
  parameters: JAX's residuals, each counted once. A compiler may keep less.
* A part is the equations that carry the name of a Linen module, lowered by themselves. Every
  equation belongs to one part, so that the parts add up to the whole.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jax.extend import core

from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.network import AUXILIARY, variable_shapes

#: The name of the backbone in every network.
BACKBONE = "backbone"
#: The part of what is computed outside of all submodules, such as the sum of two levels.
OUTSIDE = "(between modules)"


@dataclasses.dataclass(frozen=True)
class Cost:
    """The costs of a network, or of a part of one, for one image.

    Attributes:
        parameters: Numbers that are learnt; running statistics are not.
        flops: Floating-point operations of inference.
        activation_bytes: Bytes kept by the forward pass of training for the gradient.
    """

    parameters: int = 0
    flops: int = 0
    activation_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.parameters + other.parameters,
            self.flops + other.flops,
            self.activation_bytes + other.activation_bytes,
        )


def network_cost(model: nn.Module, size: int | tuple[int, int]) -> Cost:
    """Count the cost of a network for one image.

    Example:
        >>> cost = network_cost(create_model("gcn_resnet50", num_classes=21), 512)
        >>> cost.parameters
        26087588

    Args:
        model: A network of the registry.
        size: Height and width of the image in px; one number for a square.
    """
    return sum(cost_by_level(model, size).values(), Cost())


def cost_by_level(model: nn.Module, size: int | tuple[int, int]) -> dict[str, Cost]:
    """Count the cost of each level of a network for one image.

    Args:
        model: A network of the registry.
        size: Height and width of the image in px; one number for a square.

    Returns:
        The costs by level, in the order of the computation; they add up to `network_cost`. A level
            is a module of the network, such as "gcn5", or of its backbone, such as "backbone/res5",
            with all blocks of its stage.
    """
    variables, images = _arguments(model, size)
    costs: dict[str, Cost] = {}

    def add(level: str, cost: Cost) -> None:
        costs[level] = costs.get(level, Cost()) + cost

    # A block that is computed again for its gradient would be one equation without a level.
    inference = model.clone(remat=False) if hasattr(model, "remat") else model
    with plain_formulation():
        program = jax.make_jaxpr(inference.apply)(variables, images).jaxpr
    for level, flops in flops_by_part(program, level_of).items():
        add(level, Cost(flops=flops))
    for path, leaf in traverse_util.flatten_dict(variables["params"]).items():
        add(_level(path[:-1]), Cost(parameters=leaf.size))
    for level, kept in _activations(model, variables, images).items():
        add(level, Cost(activation_bytes=kept))
    return costs


def program_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Count the FLOPs of a function, traced as it is.

    XLA keeps its sums as float32: a count is right to about one in a million.

    Args:
        function: A function of arrays.
        *arguments: Its arguments, or their shapes (`jax.ShapeDtypeStruct`).
    """
    return _flops(jax.jit(function).lower(*arguments).cost_analysis())


def flops_by_part(program: core.Jaxpr, part_of: Callable[[str], str]) -> dict[str, int]:
    """Count the FLOPs of each part of a program, in the order of the computation.

    Args:
        program: The traced program.
        part_of: Tells the part of an equation by its name stack, as `level_of` does.

    Returns:
        FLOPs by part; they add up to `program_flops` of the whole.
    """
    parts: dict[str, list[core.JaxprEqn]] = {}
    for equation in program.eqns:
        parts.setdefault(part_of(_name_stack(equation)), []).append(equation)
    return {part: program_flops(*_program(program, eqns)) for part, eqns in parts.items()}


def level_of(name_stack: str) -> str:
    """Read the level off a name stack, such as `transpose(jvp(GCN))/GCN._score/gcn5/left_k1`."""
    while wrapped := re.match(r"\w+\((.*?)\)(?=/|$)", name_stack):
        name_stack = wrapped[1] + name_stack[wrapped.end() :]
    modules: list[str] = []
    for name in name_stack.split("/"):
        name, _, method = name.partition(".")
        if "(" not in name and not (method and modules[-1:] == [name]):
            modules.append(name)
    return _level(modules[1:])


def compiled_flops(model: nn.Module, size: int | tuple[int, int]) -> int:
    """Count the FLOPs of what this machine's compiler makes of a network, for one image.

    Compilers fuse, rewrite and leave out; the plain formulation is what they are given. It takes as
    long as the compilation.

    Args:
        model: A network of the registry.
        size: Height and width of the image in px; one number for a square.
    """
    variables, images = _arguments(model, size)
    with plain_formulation():
        compiled = jax.jit(model.apply).lower(variables, images).compile()
    return _flops(compiled.cost_analysis())


def _flops(analysis: Mapping[str, float] | None) -> int:
    """Read the FLOPs off XLA's cost analysis, which names none where there are none."""
    return int((analysis or {}).get("flops", 0))


def _arguments(model: nn.Module, size: int | tuple[int, int]) -> tuple[dict, jax.ShapeDtypeStruct]:
    height, width = (size, size) if isinstance(size, int) else size
    channels = getattr(model, "in_channels", 3)
    return variable_shapes(model), jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32)


def _program(jaxpr: core.Jaxpr, equations: Sequence[core.JaxprEqn]) -> tuple[Callable, ...]:
    """Return some equations of a program as a function, and the shapes of what they read."""
    made = dict.fromkeys(
        var for e in equations for var in e.outvars if not isinstance(var, core.DropVar)
    )
    read = dict.fromkeys(
        var
        for e in equations
        for var in e.invars
        if not isinstance(var, core.Literal) and var not in made
    )
    part = jaxpr.replace(
        constvars=[],
        invars=[*read],
        outvars=[*made],
        eqns=[*equations],
        debug_info=jaxpr.debug_info._replace(arg_names=None, result_paths=None),
    )
    return core.jaxpr_as_fun(core.ClosedJaxpr(part, ())), *(var.aval for var in read)


def _activations(model: nn.Module, variables: dict, images: jax.ShapeDtypeStruct) -> dict[str, int]:
    """Return the bytes that wait for the gradient, by the level that computes them."""

    def keep(variables, images, key):
        def forward(params):
            logits, updated = model.apply(
                {**variables, "params": params},
                images,
                train=True,
                mutable=["batch_stats", AUXILIARY],
                rngs={"dropout": key},
            )
            updates = dict(updated)
            return (logits, updates.pop(AUXILIARY, {})), updates

        _, pull, _ = jax.vjp(forward, variables["params"], has_aux=True)
        return pull

    with plain_formulation():
        jaxpr = jax.make_jaxpr(keep)(variables, images, jax.random.key(0)).jaxpr
    kept = {var for var in jaxpr.outvars if not isinstance(var, core.Literal)}
    of_image = {*jaxpr.invars[-2:]}  # not the weights in another form, nor the zeros of a ReLU
    levels: dict[str, int] = {}
    for equation in jaxpr.eqns:
        if any(var in of_image for var in equation.invars if not isinstance(var, core.Literal)):
            of_image |= {*equation.outvars}
        made = kept & of_image & {*equation.outvars}
        level = level_of(_name_stack(equation))
        size = sum(var.aval.size * var.aval.dtype.itemsize for var in made)
        levels[level] = levels.get(level, 0) + size
    return levels


def _name_stack(equation: core.JaxprEqn) -> str:
    return str(equation.source_info.name_stack)


def _level(modules: Sequence[str]) -> str:
    """Name the level of a module by its path: backbone/res4_block1/conv1 is in backbone/res4."""
    if [*modules] in ([], [BACKBONE]):
        return "/".join([*modules, OUTSIDE])
    depth = 2 if modules[0] == BACKBONE else 1
    return re.sub(r"_(block)?\d+$", "", "/".join(modules[:depth]))
