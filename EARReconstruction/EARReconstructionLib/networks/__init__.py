"""EAR and the networks it is compared with."""

from .network import NetworkOutput
from .registry import NETWORKS, build, parameter_count

__all__ = ["NETWORKS", "NetworkOutput", "build", "parameter_count"]
