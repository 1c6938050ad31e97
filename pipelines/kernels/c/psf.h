/* Private: the PSF model and its drawing. */
#ifndef QSERV_KERNELS_PSF_H
#define QSERV_KERNELS_PSF_H
#include "frame.h"

enum { QK_TAPS = 8 };

/* Coefficients of a polynomial in x and y for every pixel of a square grid. */
int qk_check_psf(const qk_psf *psf);

/* Values of the polynomial's terms at a position; returns how many. */
int64_t qk_psf_terms(const qk_psf *psf, double x, double y, double *terms);

/* The PSF at a position on its grid, side x side, of sum 1; false where the model has no positive sum. */
bool qk_psf_grid(const qk_psf *psf, double x, double y, double *grid);

/* Weights of the samples around a place `part` of a pixel beyond sample QK_TAPS / 2 - 1, and their derivatives: the
 * polynomial through 8 samples. Unlike Lanczos's kernel it keeps moments up to the 7th, so sizes do not change. */
void qk_lagrange(double part, double *weight, double *slope);

/* The grid moved by (dx, dy), at most half a pixel each, and its derivatives by dx and dy (NULL for none).
 * scratch holds 2 * side * side numbers. */
void qk_psf_shift(const double *grid, int64_t side, double dx, double dy, double *value, double *by_dx, double *by_dy,
                  double *scratch);

#endif
