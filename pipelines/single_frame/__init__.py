"""From the pixels of one detector to rows: plain functions over images and tables, without the middleware.

``pipelines.tasks`` wraps them for Rubin's PipelineTasks. To be read in the order in which an image passes them:

* ``detrending`` makes electrons of raw counts, with the calibration frames that it makes before;
* ``calibrate_image`` is the rest of the way for one image: ``characterisation`` finds its sky, its sources and its PSF,
  ``measure`` measures the sources, ``aperture_correction`` brings their fluxes to one aperture, ``calibrate`` puts them
  onto the sky and the magnitude scale by ``references``;
* ``tables`` makes of this the tables that are stored;
* ``interpolation`` gives unusable pixels a value, for whoever needs one.
"""
