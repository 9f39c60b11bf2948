"""From the slices of a 2-D network to a volume in the project's axes."""

from __future__ import annotations

from torch import Tensor


def slices_to_volume(slices: Tensor) -> Tensor:
    """Coronal slices (B, J, V, U) in the AP image's plane -> volume (B, 1, K, J, I), axes (S, A, R).

    A 2-D network makes its slices where its input's pixels are. The AP image's rows v run down and its
    columns u to the patient's left, so that image[v, u] lies at k = N - 1 - v, i = N - 1 - u: both axes are
    flipped. The slices themselves are stacked from posterior (j = 0) to anterior.

    The lateral image enters as a second channel in the same plane. Its rows match the output's; its columns
    run to anterior, across the slices, and that is left for the network to learn, as in the papers.
    """
    return slices.flip(2, 3).permute(0, 2, 1, 3).unsqueeze(1)
