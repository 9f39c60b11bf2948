"""Numbers printed in the paper (arXiv 2407.20937), to stand beside ours, never in our means.

Its data, its X-rays and, for the min-max normalised FD, its bounds are others: only the order of the methods can be
compared.
"""

from __future__ import annotations

_COLUMNS = ("mse", "mae", "dice", "psnr_hu4096", "ssim", "fd_minmax")

#: Table 1: method -> metric -> value.
TABLE_1: dict[str, dict[str, float]] = {
    method: dict(zip(_COLUMNS, values, strict=True))
    for method, values in {
        "PSR": (0.4393, 0.4642, 0.8161, 21.15, 0.2041, 0.4879),
        "SIT": (0.4118, 0.2863, 0.4451, 21.26, 0.6464, 0.9525),
        "E2E": (0.3032, 0.1764, 0.8400, 22.95, 0.7831, 0.3591),
        "BX2S": (0.3006, 0.1743, 0.8270, 22.80, 0.7823, 0.7333),
        "EAR": (0.2532, 0.1532, 0.8644, 23.76, 0.8013, 0.3014),
    }.items()
}
