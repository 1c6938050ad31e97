"""Matched filter, footprints and deblending, pixel by pixel and level by level."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from qserv_py.pipelines.kernels._library import Array

Pixel = tuple[int, int]


def significance(image: Array, seen: Array, noise: Array | float, kernel: Array) -> Array:
    """Return the filtered image in standard deviations, in float64; pixels that are not seen count as zero."""
    side = kernel.shape[0]
    padded = np.pad(np.where(seen, image, 0).astype(float), side // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    filtered = np.einsum("yxji,ji->yx", windows, kernel) / np.sqrt((kernel**2).sum())
    with np.errstate(all="ignore"):
        out: Array = np.where((np.asarray(noise) > 0) & np.isfinite(noise), filtered / noise, 0)
    return out


def parts_of(pixels: set[Pixel]) -> list[set[Pixel]]:
    """Return connected sets of pixels, corners touching, in the order of their first pixel."""
    left, found = set(pixels), []
    for first in sorted(pixels):
        if first not in left:
            continue
        left.discard(first)
        part, edge = {first}, [first]
        while edge:
            near = [pixel for pixel in around(edge.pop()) if pixel in left]
            left.difference_update(near)
            part.update(near)
            edge.extend(near)
        found.append(part)
    return found


def around(pixel: Pixel) -> list[Pixel]:
    """Return a pixel and its neighbours."""
    return [(pixel[0] + j, pixel[1] + i) for j in (-1, 0, 1) for i in (-1, 0, 1)]


@dataclass
class Blend:
    """A footprint to divide."""

    values: Array
    heights: list[float]
    least_flux: float
    min_pixels: int

    def objects(self, part: set[Pixel], level: int) -> list[Pixel]:
        """Return the peaks of the sources of a part that is connected at a level."""
        if level + 1 == len(self.heights):
            return [self.peak(part)]
        above = self.heights[level + 1]
        kids = parts_of({pixel for pixel in part if self.values[pixel] >= above})
        inner = [self.objects(kid, level + 1) for kid in kids]
        several = [len(peaks) > 1 for peaks in inner]
        real = [many or self.stands_out(kid, above) for many, kid in zip(several, kids, strict=True)]
        if sum(real) > 1:
            return [peak for peaks, keep in zip(inner, real, strict=True) if keep for peak in peaks]
        nested = [peaks for peaks, many in zip(inner, several, strict=True) if many]
        return nested[0] if nested else [self.peak(part)]

    def stands_out(self, part: set[Pixel], above: float) -> bool:
        """Whether a part has the flux and the size of a source."""
        flux = sum(float(self.values[pixel]) for pixel in part)
        return len(part) >= self.min_pixels and flux - above * len(part) > self.least_flux

    def peak(self, part: set[Pixel]) -> Pixel:
        """Return the highest pixel, the first of equals."""
        return min(part, key=lambda pixel: (-self.values[pixel], pixel))


def detect(
    filtered: Array, *, threshold: float, min_pixels: int, levels: int, contrast: float
) -> tuple[Array, list[int]]:
    """Return the segment of every pixel and the number of sources of each footprint."""
    segments = np.zeros(filtered.shape, np.int32)
    counts: list[int] = []
    above = set(zip(*(index.tolist() for index in np.nonzero(filtered >= np.float32(threshold))), strict=True))
    for footprint in parts_of(above):
        if len(footprint) < min_pixels:
            continue
        peaks = _divide(filtered, footprint, threshold, min_pixels, levels, contrast)
        _flood(filtered, footprint, peaks, segments, sum(counts))
        counts.append(len(peaks))
    return segments, counts


def _divide(
    values: Array, footprint: set[Pixel], threshold: float, min_pixels: int, levels: int, contrast: float
) -> list[Pixel]:
    low, peak = float(np.float32(threshold)), float(max(values[pixel] for pixel in footprint))
    heights = [low * (peak / low) ** (level / levels) for level in range(levels)]
    least = contrast * sum(float(values[pixel]) for pixel in footprint)
    peaks = Blend(values, heights, least, min_pixels).objects(footprint, 0)
    return sorted(peaks, key=lambda pixel: (-values[pixel], pixel))


def _flood(values: Array, footprint: set[Pixel], peaks: list[Pixel], segments: Array, first: int) -> None:
    """Give every pixel to a peak: the highest pixel that touches a labelled one is next."""
    waiting: list[tuple[float, Pixel]] = []
    for number, peak in enumerate(peaks, first + 1):
        segments[peak] = number
        heapq.heappush(waiting, (-values[peak], peak))
    while waiting:
        _, pixel = heapq.heappop(waiting)
        for near in around(pixel):
            if near in footprint and segments[near] == 0:
                segments[near] = segments[pixel]
                heapq.heappush(waiting, (-values[near], near))
