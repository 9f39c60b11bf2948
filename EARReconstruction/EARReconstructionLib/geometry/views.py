"""One X-ray view: a source, a flat detector and the matrices between them.

Convention (RAS mm). ``alpha`` turns the detector about S, ``beta`` tilts it cranially. The beam runs from the source
to the detector along ``n = (-sin a cos b, -cos a cos b, sin b)``: a = 0 is AP (source in front), a = +90 the left
lateral (source on the patient's right). Camera axes: z = n, y = image down, x = y x z. So the columns of an AP image
run to the patient's Left, as radiologists look at it, and those of a left lateral to Anterior.

The detector is counted in pixel-edge coordinates: pixel i covers [i, i + 1), its centre is at i + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import GeometryError
from .frames import Affine

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """A cone-beam view. Angles in degrees, lengths in millimetres, image size in pixels.

    pixel_mm: size of a (square) pixel on the detector. principal_point: (u0, v0) in pixels, where the central ray
    through the isocentre meets the detector; None is the middle of the image.

    Raises GeometryError for distances, sizes or angles that no X-ray set-up can have.
    """

    alpha_deg: float
    beta_deg: float
    sod_mm: float
    sdd_mm: float
    pixel_mm: float
    height: int
    width: int
    isocentre_ras_mm: Vector = (0.0, 0.0, 0.0)
    principal_point: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        numbers = (self.alpha_deg, self.beta_deg, self.sod_mm, self.sdd_mm, self.pixel_mm)
        if not np.all(np.isfinite((*numbers, *self.isocentre_ras_mm, *(self.principal_point or ())))):
            raise GeometryError("view", "an angle or a distance is not a number", "Give every value in degrees or mm")
        if not 0 < self.sod_mm < self.sdd_mm:
            raise GeometryError(
                "view",
                f"SOD {self.sod_mm:g} mm and SDD {self.sdd_mm:g} mm do not fit: the patient is between source and "
                "detector",
                "Give 0 < SOD < SDD",
            )
        if not self.pixel_mm > 0 or self.height < 1 or self.width < 1:
            raise GeometryError("view", "pixel size and image size must be positive", "Give them in mm and pixels")
        if abs(self.beta_deg) >= 80:
            raise GeometryError("view", f"a cranial tilt of {self.beta_deg:g} degrees", "Give a tilt within +-80")

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3,) unit vector from the source to the detector, RAS."""
        a, b = np.radians([self.alpha_deg, self.beta_deg])
        return np.array([-np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])

    @property
    def source_ras_mm(self) -> NDArray[np.float64]:
        """(3,) X-ray source, RAS mm."""
        return np.asarray(self.isocentre_ras_mm) - self.sod_mm * self.direction

    @cached_property
    def K(self) -> NDArray[np.float64]:
        """(3, 3) intrinsic matrix, pixels."""
        focal = self.sdd_mm / self.pixel_mm
        u0, v0 = self.principal_point or (self.width / 2, self.height / 2)
        return np.array([[focal, 0, u0], [0, focal, v0], [0, 0, 1.0]])

    @cached_property
    def camera_from_ras(self) -> Affine:
        """(4, 4) rigid [R|t]: RAS mm to camera mm (x = image right, y = image down, z = beam)."""
        z = self.direction
        superior = np.array([0.0, 0.0, 1.0])
        y = -(superior - (superior @ z) * z)
        y /= np.linalg.norm(y)
        rotation = np.stack([np.cross(y, z), y, z])
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ self.source_ras_mm
        return matrix

    @cached_property
    def P(self) -> NDArray[np.float64]:
        """(3, 4) projection K [R|t]: homogeneous RAS mm to (u w, v w, w), w = depth from the source in mm."""
        return self.K @ self.camera_from_ras[:3]

    def project(self, points_ras_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (..., 3) in RAS mm -> pixels (..., 2) as (u, v), and their depth (...) from the source in mm."""
        p = np.asarray(points_ras_mm, float) @ self.P[:, :3].T + self.P[:, 3]
        return p[..., :2] / p[..., 2:], p[..., 2]

    def rays(self) -> NDArray[np.float64]:
        """(H, W, 3) unit directions, RAS, from the source through every pixel centre."""
        u, v = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(self.K).T @ self.camera_from_ras[:3, :3]
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def moved(self, isocentre_ras_mm: ArrayLike) -> View:
        """The same view of another isocentre."""
        r, a, s = (float(x) for x in np.asarray(isocentre_ras_mm, float))
        return replace(self, isocentre_ras_mm=(r, a, s))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields, and P for readers that want nothing else."""
        return {
            "alpha_deg": self.alpha_deg,
            "beta_deg": self.beta_deg,
            "sod_mm": self.sod_mm,
            "sdd_mm": self.sdd_mm,
            "pixel_mm": self.pixel_mm,
            "height": self.height,
            "width": self.width,
            "isocentre_ras_mm": list(self.isocentre_ras_mm),
            "principal_point": None if self.principal_point is None else list(self.principal_point),
            "P": self.P.tolist(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> View:
        """Inverse of to_dict. P is derived, never read. Raises GeometryError when a field is missing or no number."""
        try:
            r, a, s = (float(x) for x in fields.get("isocentre_ras_mm", (0, 0, 0)))
            point = fields.get("principal_point")
            if point is not None:
                u0, v0 = point
                point = float(u0), float(v0)
            return cls(
                alpha_deg=float(fields["alpha_deg"]),
                beta_deg=float(fields.get("beta_deg", 0.0)),
                sod_mm=float(fields["sod_mm"]),
                sdd_mm=float(fields["sdd_mm"]),
                pixel_mm=float(fields["pixel_mm"]),
                height=int(fields["height"]),
                width=int(fields["width"]),
                isocentre_ras_mm=(r, a, s),
                principal_point=point,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise GeometryError(
                "view", f"incomplete or malformed ({error!r})", "See View.to_dict for the fields"
            ) from error


def crop_view(view: View, centre_ras_mm: ArrayLike, size: int, spacing_mm: float) -> View:
    """The sub-window of a detector, ``size`` pixels square, around the projection of a point.

    A pixel of the crop measures ``spacing_mm`` in the plane of that point, so a vertebra has the same size in the crop
    wherever it stands. Source, beam and detector plane are those of ``view``: P differs by a scaled and shifted
    principal point only, and stays right for a vertebra far from the central ray.

    Raises GeometryError when the point lies behind the source or the detector.
    """
    (u, v), depth = view.project(centre_ras_mm)
    if not 0 < depth < view.sdd_mm:
        raise GeometryError(
            "vertebra ROI",
            f"its centre is {float(depth):.0f} mm from the source, not between source and detector",
            "Move the ROI or correct SOD and SDD",
        )
    pixel_mm = spacing_mm * view.sdd_mm / float(depth)
    scale = view.pixel_mm / pixel_mm
    u0, v0 = view.K[0, 2], view.K[1, 2]
    point = ((u0 - u) * scale + size / 2, (v0 - v) * scale + size / 2)
    return replace(view, pixel_mm=pixel_mm, height=size, width=size, principal_point=(float(point[0]), float(point[1])))
