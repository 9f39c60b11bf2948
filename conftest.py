"""What holds for all tests: none fails because the machine is slow, or because the dice fell otherwise this time.

``pytest --hypothesis-profile search`` throws them anew, to find what nobody thought of.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("any machine", settings.get_profile("search"), derandomize=True)
settings.load_profile("any machine")
