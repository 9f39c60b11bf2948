"""The training loss, eq. 5 to 10 of the paper (section 3.4).

Volumes are (B, 1, D, H, W), z-scored; V is the network's (``predicted``), G the ground truth (``target``). Every term
is the mean over the samples of a batch of what it is for one sample: two half batches give the gradient of the whole.

Half-precision input is computed in float32, so everything here may stand inside an autocast region. What torch offers
is used as it is; two things are our own. MONAI's SobelGradients gives the same, as convolutions, which took five times
as long on a CPU as the shifted sums below, and its padding has no deterministic gradient on CUDA. MONAI's JukeboxLoss
compares amplitudes, while eq. 7 compares real and imaginary parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_SPACE = (-3, -2, -1)

#: E where a volume is flat. Above 0, so that the entropy of an edge that the network misses has a finite gradient.
_FLAT = 0.01

#: An attention map counts as this far from 0 and 1 at least.
_SURE = 1e-4

#: A voxel above this is bone for ``dice_loss``: half of it spongy bone, half air. And the soft step's width, HU.
BONE_HU, BONE_STEP_HU = -400.0, 100.0


@dataclass(frozen=True)
class LossWeights:
    """Eq. 10: the weight of each term, and what eq. 6 to 8 leave open. The defaults are the paper's weights.

    attention: weight of the entropy between the network's edge map A and the target's edges; dice: of ``dice_loss``.
    Neither is in the paper.
    edge_scale: where E is one half, in z-scores per voxel. None: measured on the training set with ``edge_scale``
    before the first step; ``total_loss`` refuses to guess it. bone: for ``dice_loss``, the z-score above which a voxel
    is bone and the width of the soft step there; None: BONE_HU and BONE_STEP_HU by the training set's statistics.
    frequency_epsilon, frequency_exponent, frequency_high_pass: see ``frequency_loss``.

    Raises ValueError for values that make no loss.
    """

    reconstruction: float = 1.0
    edge: float = 0.1
    frequency: float = 0.1
    projection: float = 0.1
    attention: float = 0.0
    dice: float = 0.0
    edge_scale: float | None = None
    bone: tuple[float, float] | None = None
    frequency_epsilon: float = 1.0
    frequency_exponent: int = 2
    frequency_high_pass: float = 0.0

    def __post_init__(self) -> None:
        weights = {name: getattr(self, name) for name in ("reconstruction", "edge", "frequency", "projection", "dice")}
        for name, value in (weights | {"attention": self.attention, "high_pass": self.frequency_high_pass}).items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} of the loss must be 0 or more, got {value}")
        if not any(weights.values()):
            raise ValueError(f"at least one of {', '.join(weights)} must weigh something: the volume has no loss")
        if self.edge_scale is not None and not (math.isfinite(self.edge_scale) and self.edge_scale > 0):
            raise ValueError(f"edge_scale must be greater than 0, got {self.edge_scale}")
        if self.bone is not None and not (math.isfinite(self.bone[0]) and 0 < self.bone[1] < math.inf):
            raise ValueError(f"bone must be a z-score and a width greater than 0, got {self.bone}")
        if not (math.isfinite(self.frequency_epsilon) and self.frequency_epsilon > 0):
            raise ValueError(f"frequency_epsilon must be greater than 0, got {self.frequency_epsilon}")
        if self.frequency_exponent not in (1, 2):
            raise ValueError(f"frequency_exponent must be 1 or 2, got {self.frequency_exponent}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; ``from_dict`` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LossWeights:
        """What is not given keeps its default. Raises ValueError for a name that does not exist."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"the loss has no {', '.join(unknown)}")
        bone = values.get("bone")
        return cls(**{**values, "bone": None if bone is None else tuple(bone)})


def total_loss(
    predicted: Tensor, target: Tensor, weights: LossWeights, attention: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 10: the weighted sum, and its terms before weighting, detached, by their names in ``LossWeights``.

    Terms of weight 0 are not computed; neither is the attention's for a network that has none (None).
    Raises ValueError when the edges' scale or the step to bone is needed and missing, or when shapes differ.
    """
    predicted, target = _pair(predicted, target)  # once for all terms: their gradients add up in float32
    terms: dict[str, Tensor] = {}
    if weights.reconstruction:
        terms["reconstruction"] = reconstruction_loss(predicted, target)
    if weights.edge:
        terms["edge"] = edge_loss(predicted, target, scale=_measured(weights))
    if weights.frequency:
        terms["frequency"] = frequency_loss(
            predicted,
            target,
            epsilon=weights.frequency_epsilon,
            exponent=weights.frequency_exponent,
            high_pass=weights.frequency_high_pass,
        )
    if weights.projection:
        terms["projection"] = projection_loss(predicted, target)
    if weights.dice:
        terms["dice"] = dice_loss(predicted, target, bone=_known_bone(weights))
    if weights.attention and attention is not None:
        terms["attention"] = attention_loss(attention, target, scale=_measured(weights))
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return total, {name: term.detach() for name, term in terms.items()}


def reconstruction_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Eq. 5: mean |G - V|."""
    predicted, target = _pair(predicted, target)
    return F.l1_loss(predicted, target)


def edge_loss(predicted: Tensor, target: Tensor, *, scale: float) -> Tensor:
    """Eq. 6: binary cross entropy of E(V) against E(G), less the entropy of E(G), so that V = G gives 0.

    The paper does not say what E is: ``edge_map`` is ours.
    """
    predicted, target = _pair(predicted, target)
    return _divergence(_edge_logits(predicted, scale), target, scale)


def attention_loss(attention: Tensor, target: Tensor, *, scale: float) -> Tensor:
    """The same for the network's edge map A (B, 1, D, H, W) in (0, 1): A against E(G).

    The edges of the truth, not those of the network's own volume: a map that learnt from the latter would agree with
    any mistake.
    """
    attention, target = _pair(attention, target)
    return _divergence(torch.logit(attention, eps=_SURE), target, scale)


def frequency_loss(
    predicted: Tensor, target: Tensor, *, epsilon: float = 1.0, exponent: int = 2, high_pass: float = 0.0
) -> Tensor:
    """Eq. 8: log10(D + epsilon), D = D_real + D_imag of ``frequency_distance``.

    epsilon: the paper prints none, which has no minimum and no bound on its gradient as V nears G. With 1 a perfect V
    gives 0 and the gradient stays below 0.44 in norm; as D is a sum over all frequencies (1e4 and more in training),
    the gradient is elsewhere the printed one. A smaller value comes closer still, and may be unstable near the end.
    """
    return torch.log10(frequency_distance(predicted, target, exponent=exponent, high_pass=high_pass) + epsilon).mean()


def frequency_distance(predicted: Tensor, target: Tensor, *, exponent: int = 2, high_pass: float = 0.0) -> Tensor:
    """Eq. 7: D_real + D_imag, (B,): sums over all frequencies of |difference|^exponent of real and imaginary parts.

    The transform is unitary ("ortho"): with exponent 2 and no high pass D is the sum of squared voxel differences
    (Parseval), so that eq. 8 says little that eq. 5 does not.
    high_pass: D's frequencies count with the power ``high_pass`` of their radius, in cycles per voxel, scaled to a mean
    weight of 1: white noise has the same D whatever its value. 0: all count the same.
    """
    predicted, target = _pair(predicted, target)
    spectrum = torch.fft.rfftn(predicted - target, dim=_SPACE, norm="ortho")  # linear: the difference of the spectra
    parts = torch.view_as_real(spectrum).abs().pow(exponent).sum(-1)
    return (parts * _frequency_weights(predicted, high_pass)).sum((-4, *_SPACE))


def projection_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Eq. 9: L1 of the maximum-intensity projections along the three axes, summed."""
    predicted, target = _pair(predicted, target)
    return torch.stack([F.l1_loss(predicted.amax(axis), target.amax(axis)) for axis in _SPACE]).sum()


def dice_loss(predicted: Tensor, target: Tensor, *, bone: tuple[float, float]) -> Tensor:
    """1 - 2 sum(b(V) b(G)) / (sum b(V)^2 + sum b(G)^2) per sample, b = sigmoid((x - level) / width); 0 for V = G.

    Not in the paper; the form is V-Net's (Milletari 2016). What eq. 5 counts as one voxel among many, a thin process
    that is missing, counts here as a share of the bone; and what is inside the bone counts no more.
    """
    predicted, target = _pair(predicted, target)
    level, width = bone
    v, g = (torch.sigmoid((x - level) / width) for x in (predicted, target))
    axes = (-4, *_SPACE)
    return (1 - 2 * (v * g).sum(axes) / (v.square().sum(axes) + g.square().sum(axes))).mean()


def bone_step(hu_mean: float, hu_sd: float) -> tuple[float, float]:
    """Where bone begins, for ``dice_loss``, and the width of the step, in z-scores of such statistics."""
    return (BONE_HU - hu_mean) / hu_sd, BONE_STEP_HU / hu_sd


def edge_map(volume: Tensor, scale: float) -> Tensor:
    """Soft edges E (..., D, H, W) in (0, 1): (m^2 + 0.01 s^2) / (m^2 + s^2), m the Sobel magnitude, s the scale.

    0.01 where the volume is flat, about one half at m = s, towards 1 at strong edges. The square needs no root, whose
    gradient has no bound at 0.
    """
    return torch.sigmoid(_edge_logits(_single(volume), scale))


def edge_scale(volumes: Iterable[Tensor]) -> float:
    """The scale for ``edge_map`` from z-scored target volumes (..., D, H, W): half the strength of their average edge.

    Average means weighted with the gradient itself, sum m^2 / sum m, so that the air around the bone has no say. On a
    CT of two lumbar vertebrae the outline then comes out at 0.85 (median), the spongy bone within at 0.04.

    Raises ValueError when there is no edge in any of them.
    """
    squares = magnitudes = 0.0
    for volume in volumes:
        squared = _squared_gradient(_single(volume).detach())
        squares += float(squared.sum())
        magnitudes += float(squared.sqrt().sum())
    if not magnitudes:
        raise ValueError("the scale of edges needs at least one volume that is not flat")
    return 0.5 * squares / magnitudes


def _measured(weights: LossWeights) -> float:
    if weights.edge_scale is None:
        raise ValueError("edge_scale is not set: measure it on the training volumes with edge_scale(volumes)")
    return weights.edge_scale


def _known_bone(weights: LossWeights) -> tuple[float, float]:
    if weights.bone is None:
        raise ValueError("bone is not set: tell it the z-scores with bone_step(hu_mean, hu_sd)")
    return weights.bone


def _single(x: Tensor) -> Tensor:
    """Half precision becomes float32; double stays."""
    return x if x.dtype == torch.float64 else x.float()


def _pair(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 at least. Raises ValueError unless they fit: broadcasting would give a number all the same."""
    if predicted.shape != target.shape or predicted.dim() != 5:
        shapes = f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        raise ValueError(f"expected two volumes of one shape (B, 1, D, H, W), got {shapes}")
    return _single(predicted), _single(target)


def _divergence(logits: Tensor, target: Tensor, scale: float) -> Tensor:
    """Mean Kullback-Leibler divergence of sigmoid(logits) from E(target): cross entropy less E(target)'s own."""
    with torch.no_grad():
        ideal = _edge_logits(target, scale)
        edges = torch.sigmoid(ideal)
        entropy = F.binary_cross_entropy_with_logits(ideal, edges)
    return F.binary_cross_entropy_with_logits(logits, edges) - entropy


def _edge_logits(volume: Tensor, scale: float) -> Tensor:
    """log(E / (1 - E)): the entropy takes it as it is, without loss of digits near 0 and 1."""
    return torch.log(_squared_gradient(volume) / scale**2 + _FLAT) - math.log(1 - _FLAT)


def _squared_gradient(volume: Tensor) -> Tensor:
    """Squared Sobel magnitude per voxel, (..., D, H, W). A ramp of 1 per voxel gives 1; borders are repeated."""
    smooth, steep = _filtered(volume, -1, True), _filtered(volume, -1, False)
    along_i = _filtered(_filtered(steep, -2, True), -3, True)
    along_j = _filtered(_filtered(smooth, -2, False), -3, True)
    along_k = _filtered(_filtered(smooth, -2, True), -3, False)
    return along_i.square() + along_j.square() + along_k.square()


def _filtered(x: Tensor, axis: int, smooth: bool) -> Tensor:
    """(1, 2, 1) / 4 or (-1, 0, 1) / 2 along one axis."""
    size = x.shape[axis]
    padded = torch.cat((x.narrow(axis, 0, 1), x, x.narrow(axis, size - 1, 1)), axis)
    before, after = padded.narrow(axis, 0, size), padded.narrow(axis, 2, size)
    return (before + 2 * x + after) / 4 if smooth else (after - before) / 2


def _frequency_weights(like: Tensor, high_pass: float) -> Tensor:
    """Weights (D, H, W // 2 + 1) of the half spectrum; broadcastable to it when there is no high pass.

    The half that a real transform leaves out is the mirror image of the half that it gives: all but the planes 0 and,
    for even W, W / 2 of the last axis stand for two frequencies.
    """
    *sides, width = like.shape[-3:]
    counts = like.new_full((width // 2 + 1,), 2.0)
    counts[0] = 1
    if width % 2 == 0:
        counts[-1] = 1
    if not high_pass:
        return counts
    k, j = (torch.fft.fftfreq(side, dtype=like.dtype, device=like.device) for side in sides)
    i = torch.fft.rfftfreq(width, dtype=like.dtype, device=like.device)
    radius = (k[:, None, None].square() + j[:, None].square() + i.square()).sqrt()
    weights = counts * radius**high_pass
    return weights * (like[0].numel() / weights.sum())
