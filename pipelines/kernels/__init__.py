"""C kernels for single images: NumPy arrays in, NumPy arrays out, the work in C11 without Python's global lock.

``c/kernels.h`` is the public C interface, ``_library`` the bridge. To be read in this order:

* ``planes``, ``frame``, ``wcs`` and ``psf`` are what the others take and give: masks, images with their noise,
  coordinates, and the light of a point;
* ``isr``, ``interpolation``, ``background``, ``detection`` and ``cosmic_rays`` correct pixels or find what is in them;
* ``measurement`` measures what was found, ``catalogues`` compares the rows with those of other catalogues;
* ``scene`` draws images whose truth is known, ``reference`` has a second, slow implementation of the kernels for tests.
"""
