/* Private: the PSF model and its drawing. */
#ifndef QSERV_KERNELS_PSF_H
#define QSERV_KERNELS_PSF_H
#include "frame.h"

enum { QK_TAPS = 8 };

/* Coefficients of a polynomial in x and y for every pixel of a square grid. */
int qk_check_psf(const qk_psf *psf);

/* Values of the polynomial's terms at a position; returns how many. */
int64_t qk_psf_terms(const qk_psf *psf, double x, double y, double *terms);

/* Samples along a side of the grid. */
QK_INLINE int64_t qk_psf_samples(const qk_psf *psf) { return 2 * (psf->sampling * psf->side / 2) + 1; }

/* The PSF at a position on its grid, samples x samples, of which a pixel each sums to 1; false where the model has no
 * positive sum. */
bool qk_psf_grid(const qk_psf *psf, double x, double y, double *grid);

/* Weights of the samples around a place `part` of a pixel beyond sample QK_TAPS / 2 - 1, and their derivatives: the
 * polynomial through 8 samples. Unlike Lanczos's kernel it keeps moments up to the 7th, so sizes do not change. */
void qk_lagrange(double part, double *weight, double *slope);

/* The pixels, side x side, of a grid moved by (dx, dy), at most half a pixel each, and their derivatives by dx and dy (NULL
 * for none). scratch holds 2 * samples * side numbers. */
void qk_psf_shift(const qk_psf *psf, const double *grid, double dx, double dy, double *value, double *by_dx, double *by_dy,
                  double *scratch);

/* Which samples an axis of moved pixels is made of: pixel i is the sum of weight[k] times sample first + sampling * i + k. */
typedef struct {
    double weight[QK_TAPS], slope[QK_TAPS];
    int64_t first;
} qk_taps;

/* Those of a PSF moved by `shift` pixels along an axis; slopes are derivatives by the shift, and left out unless wanted. */
qk_taps qk_psf_taps(const qk_psf *psf, double shift, bool slopes);

/* A star's pixels around the nearest one to its middle, scaled to flux 1, with inverse variances, 0 for unusable ones. */
typedef struct {
    const double *value, *weight;     /* side x side */
    double x, y;                      /* of its middle, pixels of the image */
} qk_psf_star;

/* Coefficients of a PSF of samples finer than pixels, from the pixels of all stars together. */
int qk_psf_solve_samples(const qk_psf *psf, const qk_psf *before, const qk_psf_star *stars, int64_t n, double *coefficients);

#endif
