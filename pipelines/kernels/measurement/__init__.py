"""What is measured at the positions of sources, and the PSF that the stars among them give.

``apertures`` and ``moments`` need the image alone, ``psf_photometry`` and ``spread`` a PSF, too: fluxes of points, and
how much wider than a point a source is. ``stars`` chooses what a PSF can be made from and ``psf_fit`` makes it, last to
be read: it measures its stars with the others.
"""
