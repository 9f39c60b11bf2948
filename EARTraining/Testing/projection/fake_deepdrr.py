"""A stand-in for the package ``deepdrr`` 1.2.2, which a test installs beside a Python of its own.

It takes what the real one takes, by name and by position, and refuses the rest. Its rays are a plain sum in numpy, with
the fault of the real kernel: voxels are read one place off along every axis, and the last voxels are never reached.
"""

import os
import sys
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import map_coordinates

MODE = os.environ.get("FAKE_DEEPDRR", "")

print("Welcome to DeepDRR")
os.system("echo compiling kernels")  # C code and child processes print past sys.stdout

#: Made up, cm2/g at 60 keV: only the worker's arithmetic depends on it.
ATTENUATION = {"soft tissue": 0.2, "bone": 0.3}


class FrameTransform:
    def __init__(self, data):
        assert isinstance(data, np.ndarray)
        assert data.shape in ((4, 4), (3, 3))
        self.data = data


class CameraIntrinsicTransform(FrameTransform):
    def __init__(self, data, sensor_height=None, sensor_width=None):
        super().__init__(data)
        assert data.shape == (3, 3)
        assert type(sensor_height) is type(sensor_width) is int
        self.sensor_height, self.sensor_width = sensor_height, sensor_width


class CameraProjection:
    def __init__(self, intrinsic, extrinsic):
        assert isinstance(intrinsic, CameraIntrinsicTransform)
        assert isinstance(extrinsic, FrameTransform)
        self.intrinsic, self.extrinsic = intrinsic, extrinsic


geo = SimpleNamespace(
    FrameTransform=FrameTransform,
    CameraIntrinsicTransform=CameraIntrinsicTransform,
    CameraProjection=CameraProjection,
)


class Material:
    @classmethod
    def from_string(cls, name, compound_string=False):
        material = cls()
        material.name = name
        return material

    def get_coefficients(self, energy_keV):
        assert energy_keV == 60.0
        return SimpleNamespace(mu_over_rho=ATTENUATION[self.name])


class Volume:
    def __init__(
        self,
        data,
        materials,
        anatomical_from_IJK=None,
        world_from_anatomical=None,
        anatomical_coordinate_system=None,
        cache_dir=None,
        config=None,
        enabled=True,
    ):
        names, labels = materials
        assert labels.dtype == np.uint16
        assert labels.shape == data.shape
        assert set(np.unique(labels)) <= set(names.values()), "a voxel has no material"
        self.data, self.names = np.array(data).astype(np.float32), names
        self.world_from_ijk = anatomical_from_IJK.data


class Projector:
    alive = 0

    def __init__(
        self,
        volume,
        priorities=None,
        camera_intrinsics=None,
        device=None,
        step=0.1,
        mode="linear",
        spectrum="90KV_AL40",
        add_scatter=None,
        scatter_num=0,
        add_noise=False,
        photon_count=10000,
        threads=8,
        max_block_index=65535,
        collected_energy=False,
        neglog=True,
        intensity_upper_bound=None,
        attenuate_outside_volume=False,
        source_to_detector_distance=-1,
        carm=None,
        max_mesh_hits=32,
        mesh_layers=2,
        cuda_device_id=None,
    ):
        assert (neglog, add_noise, add_scatter, device) == (False, False, None, None)
        assert isinstance(spectrum, np.ndarray)
        assert spectrum.shape[1] == 2
        assert isinstance(camera_intrinsics, CameraIntrinsicTransform)
        assert source_to_detector_distance > 0
        self.volume, self.step, self.spectrum = volume, step, spectrum

    def __enter__(self):
        Projector.alive += 1
        assert Projector.alive == 1, "one Projector at a time"
        return self

    def __exit__(self, type, value, tb):
        Projector.alive -= 1

    def project(self, *camera_projections):
        print("projecting")
        if MODE == "die":
            print("CUDA error: an illegal memory access was encountered", file=sys.stderr)
            sys.stderr.flush()
            os.kill(os.getpid(), 9)
        if MODE == "raise":
            raise RuntimeError("CUDA out of memory\nwhile allocating")
        if MODE == "hang":
            import time

            time.sleep(60)
        images = np.stack([self.intensity(camera) for camera in camera_projections])
        return images[0] if len(images) == 1 else images

    def intensity(self, camera):
        (name,) = self.volume.names
        energies, share = self.spectrum[:, 0] / 1000, self.spectrum[:, 1] / self.spectrum[:, 1].sum()
        exponent = -Material.from_string(name).get_coefficients(float(energies[0])).mu_over_rho * self.area(camera)
        return (energies * share).sum() * np.exp(exponent).astype(np.float32)

    def area(self, camera):
        """(h, w) g/cm2."""
        rotation, translation = camera.extrinsic.data[:3, :3], camera.extrinsic.data[:3, 3]
        u, v = np.meshgrid(
            np.arange(camera.intrinsic.sensor_width) + 0.5, np.arange(camera.intrinsic.sensor_height) + 0.5
        )
        rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera.intrinsic.data).T @ rotation
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        source = -rotation.T @ translation
        ijk_from_world = np.linalg.inv(self.volume.world_from_ijk)
        last = np.array(self.volume.data.shape) - 0.5
        corners = np.array([(i, j, k) for i in (-0.5, last[0]) for j in (-0.5, last[1]) for k in (-0.5, last[2])])
        world = corners @ self.volume.world_from_ijk[:3, :3].T + self.volume.world_from_ijk[:3, 3]
        distance = np.linalg.norm(world - source, axis=-1)
        start = ijk_from_world[:3, :3] @ source + ijk_from_world[:3, 3]
        slope = rays @ ijk_from_world[:3, :3].T
        total = np.zeros(u.shape)
        for alpha in np.arange(distance.min() * 0.98, distance.max(), self.step):
            p = start + alpha * slope
            inside = ((p >= -0.5) & (p <= last)).all(-1)
            total += inside * map_coordinates(self.volume.data, np.moveaxis(p - 1, -1, 0), order=1, mode="nearest")
        return total * self.step / 10
