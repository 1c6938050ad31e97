"""C kernels for single images: NumPy arrays in, NumPy arrays out, the work in C11 without Python's global lock.

``c/kernels.h`` is the public C interface, ``_library`` the bridge, and every other module one family of kernels.
"""
