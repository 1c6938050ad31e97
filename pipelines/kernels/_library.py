"""The bridge to the C library: arrays to pointers, statuses to errors. Nothing else calls cffi.

A kernel runs without Python's global lock, so threads run kernels side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import ConfigError, InternalError, KernelArgumentError, LimitError, NoFitError

try:
    # By name: the tools that read imports know modules written in Python only.
    _native = import_module("qserv_py.pipelines.kernels._native")
except ImportError as problem:
    raise ConfigError(
        "the image kernels are not built",
        detail=str(problem),
        hint="They need gcc and the header files of Python (Debian: apt-get install gcc python3-dev) when qserv_py is"
        " installed; in a checkout `python setup.py build_ext --inplace` shows what the compiler says.",
    ) from problem

ffi: Any = _native.ffi
lib: Any = _native.lib

Array = npt.NDArray[Any]
FloatImage = npt.NDArray[np.float32]
MaskImage = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]

__all__ = ["Array", "FloatArray", "FloatImage", "MaskImage", "check", "ffi", "image_of", "lib", "like", "pointer"]
__all__ += ["record_dtype", "records", "unmasked", "vectors"]

_ERRORS = {
    lib.QK_BAD_ARGUMENT: KernelArgumentError,
    lib.QK_LIMIT: LimitError,
    lib.QK_NO_FIT: NoFitError,
}
_C_NAMES = {"f4": "float", "f8": "double", "i4": "int32_t", "i8": "int64_t", "u2": "uint16_t", "u1": "uint8_t"}


def check(status: int, *, hint: str = "") -> None:
    """Raise the error of a status that is not QK_OK."""
    if status != lib.QK_OK:
        detail = ffi.string(lib.qk_detail()).decode()
        raise _ERRORS.get(status, InternalError)(detail, hint=hint)


def pointer(array: npt.NDArray[Any] | None) -> Any:
    """Return a C pointer to a contiguous array of this machine's bytes, NULL for None; it must outlive the call."""
    if array is None:
        return ffi.NULL
    if not array.dtype.isnative or not array.flags.c_contiguous:
        raise InternalError(f"an array of {array.dtype} and strides {array.strides} on its way to C")
    return ffi.cast(f"{_C_NAMES[array.dtype.str[1:]]} *", ffi.from_buffer(array))


def records(array: npt.NDArray[Any], c_type: str) -> Any:
    """Return a C pointer to a structured array whose layout is that of a C struct."""
    if array.dtype.itemsize != ffi.sizeof(c_type):
        raise InternalError(f"records of {array.dtype.itemsize} bytes, {c_type} has {ffi.sizeof(c_type)}")
    return ffi.cast(f"{c_type} *", ffi.from_buffer(array))


def record_dtype(c_type: str) -> np.dtype[Any]:
    """Return the dtype with the names, offsets and types of a C struct: one list of fields, the header's."""
    names, formats, offsets = [], [], []
    for name, field in ffi.typeof(c_type).fields:
        names.append(name)
        offsets.append(field.offset)
        formats.append(_numpy_type(field.type))
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(c_type)})


def _numpy_type(c_type: Any) -> Any:
    if c_type.kind == "array":
        return (_numpy_type(c_type.item), (c_type.length,))
    kind = {"float": "f", "double": "f", "int32_t": "i", "int64_t": "i"}[c_type.cname]
    return f"{kind}{ffi.sizeof(c_type)}"


def image_of(values: npt.ArrayLike, *, name: str, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return a 2-D contiguous array of a type that the kernels read; values that do not fit are refused.

    Masked elements of numpy.ma are NaN in images of floating point, and refused in others.
    """
    array = unmasked(values, name=name, dtype=dtype)
    if array.ndim != 2 or array.size == 0:
        raise KernelArgumentError(f"{name} has the shape {array.shape}; an image has rows and columns")
    if array.dtype.kind not in "fiub":
        raise KernelArgumentError(f"{name} has the type {array.dtype}; numbers are needed")
    wanted = np.dtype(dtype)
    if wanted.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and a kernel skips what is not finite
            return np.ascontiguousarray(array, dtype=wanted)
    if array.dtype.kind == "f" or not np.can_cast(array.dtype, wanted):
        bounds = np.iinfo(wanted)
        if array.dtype.kind == "f" or array.min() < bounds.min or array.max() > bounds.max:
            raise KernelArgumentError(f"{name} has the type {array.dtype} or values that do not fit {wanted}")
    return np.ascontiguousarray(array, dtype=wanted)


def unmasked(values: npt.ArrayLike, *, name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array without numpy.ma's mask: NaN stands for what it hides, which only floating point can say.

    Raises
    ------
    KernelArgumentError
        If elements are masked and the type that is wanted has no NaN.
    """
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if not np.ma.getmaskarray(values).any():
        return np.asarray(values.data)
    if np.dtype(dtype).kind != "f" or values.dtype.kind not in "fiub":
        raise KernelArgumentError(
            f"{name} has masked elements, which {np.dtype(dtype)} cannot say", hint="Fill them before: x.filled(value)."
        )
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return np.asarray(np.ma.filled(values.astype(kind), np.nan))


def like(values: npt.ArrayLike | None, image: npt.NDArray[Any], *, name: str, dtype: npt.DTypeLike) -> Any:
    """Return an image of the same shape as ``image``, None for None."""
    if values is None:
        return None
    array = image_of(values, name=name, dtype=dtype)
    if array.shape != image.shape:
        raise KernelArgumentError(f"{name} has the shape {array.shape}, the image {image.shape}")
    return array


def vectors(**named: npt.ArrayLike) -> Sequence[FloatArray]:
    """Return 1-D float64 arrays of one length."""
    try:
        plain = [unmasked(values, name=name, dtype=np.float64) for name, values in named.items()]
        arrays = [np.ascontiguousarray(values, dtype=np.float64).reshape(-1) for values in plain]
    except (TypeError, ValueError) as problem:
        raise KernelArgumentError(f"{', '.join(named)}: numbers are needed", detail=str(problem)) from problem
    lengths = {array.size for array in arrays}
    if len(lengths) > 1:
        raise KernelArgumentError(f"{', '.join(named)} have the lengths {', '.join(str(a.size) for a in arrays)}")
    return arrays
