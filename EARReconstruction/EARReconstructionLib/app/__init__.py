"""The browser's face: Slicer's own scene and views in a page, for those without a desktop or without a GPU.

``server`` is what listens. It starts one process per page (``pages``, ``page``), so that each has a scene of its own
and none can see or slow another, and passes requests on to it (``relay``) after looking at who asks (``gate``). In a
page's process ``stage`` holds the scene and its views, ``session`` the work in hand, and ``steps`` what a user can do.
What the page looks like is in ``www``, as Vue templates that show the state that steps set and call their triggers.
"""
