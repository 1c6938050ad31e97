"""What must be known of an image before its sources are measured.

``characterise`` is the whole way and the place to begin; its steps are ``noise`` and ``structure``, how much the sky
scatters, ``psf_model``, the PSF from stars, and ``rays``, the cosmic rays that only a known PSF tells from stars.
"""
