"""Training: a recipe and a prepared data set in, a bundle out. Every run can be killed and goes on where it stopped.

``recipe``: what a run is. ``run``: the run. ``module``, ``data``, ``checkpoints``, ``history``, ``pictures``: its
parts, on Lightning. ``thresholds``, ``export``: what becomes of it.
"""
