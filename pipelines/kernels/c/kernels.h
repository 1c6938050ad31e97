/* Image kernels of qserv_py: public interface.
 *
 * Rules that all kernels keep:
 *  - Images are C arrays of ny rows of nx pixels, row after row, without gaps. Pixel (0, 0) is the centre of the first
 *    pixel, x runs along a row. A pixel is used when it is finite and its mask has none of the planes `bad`.
 *  - A kernel checks its arguments before it writes anything, and returns an enum qk_status; qk_detail() has the words.
 *  - A bad element of a vector (a position off the image, NaN) gives NaN and a flag for that element, not an error.
 *  - Scratch memory is proportional to the arguments and never above QK_MAX_SCRATCH bytes. No globals, no OpenMP, no
 *    fused or reordered floating point: the same pixels give the same numbers on every x86-64.
 *
 * cffi reads this file too (build.py): declarations only, every line that starts with # is left out there. */
#ifndef QSERV_KERNELS_H
#define QSERV_KERNELS_H
#include <stdint.h>

enum qk_status {
    QK_OK = 0,
    QK_BAD_ARGUMENT = 1, /* an argument is wrong */
    QK_LIMIT = 2,        /* a bound of rows or bytes was reached */
    QK_NO_FIT = 3        /* the data do not determine the answer */
};

/* Planes of a mask, as in Rubin's images. */
enum qk_plane {
    QK_BAD = 1,
    QK_SAT = 2,
    QK_INTRP = 4,
    QK_CR = 8,
    QK_EDGE = 16,
    QK_DETECTED = 32,
    QK_DETECTED_NEGATIVE = 64,
    QK_SUSPECT = 128,
    QK_NO_DATA = 256
};

/* What was wrong with the last call of this thread that did not return QK_OK. */
const char *qk_detail(void);

/* ---- instrument signature removal (isr.c) ---- */

enum { QK_MAX_LINEARITY = 8 };

/* How the overscan level of a row is found. */
enum qk_overscan { QK_OVERSCAN_NONE = 0, QK_OVERSCAN_ROW_MEDIAN = 1, QK_OVERSCAN_AMPLIFIER_MEDIAN = 2 };

/* One amplifier: where its pixels are in the raw frame and in the detector, and what it does to them. */
typedef struct {
    int32_t raw_x, raw_y;             /* first column and row of the data section in the raw frame */
    int32_t width, height;            /* of the data section */
    int32_t out_x, out_y;             /* first column and row in the detector */
    int32_t flip_x, flip_y;           /* not 0: the section is mirrored on its way to the detector */
    int32_t overscan_x;               /* first column of the serial overscan in the raw frame */
    int32_t overscan_width;           /* its columns; its rows are those of the data section */
    float gain;                       /* electron per ADU */
    float read_noise;                 /* electron */
    float saturation;                 /* raw ADU, at or above: plane SAT */
    float suspect;                    /* raw ADU, at or above: plane SUSPECT */
    int32_t n_linearity;              /* coefficients in use */
    float linearity[8];               /* linear = adu * (1 + l[0] adu + l[1] adu^2 + ...), adu above overscan */
} qk_amplifier;

/* Overscan, linearity, gain, bias, dark, variance, flat and mask in one pass over the pixels. */
int qk_isr(
    const uint16_t *raw,              /* ADU, raw_ny x raw_nx */
    int64_t raw_ny,
    int64_t raw_nx,
    const qk_amplifier *amplifiers,
    int64_t n_amplifiers,
    int overscan,                     /* enum qk_overscan */
    const float *bias,                /* electron, ny x nx, or NULL */
    const float *dark,                /* electron per second, ny x nx, or NULL */
    const float *flat,                /* response, 1 = mean, ny x nx, or NULL */
    const int32_t *defects,           /* mask planes to start from, ny x nx, or NULL */
    float dark_s,                     /* s of dark current */
    int64_t ny,
    int64_t nx,
    float *image,                     /* OUT electron; NaN outside the amplifiers and where the flat is unusable */
    float *variance,                  /* OUT electron^2 */
    int32_t *mask);                   /* OUT planes; BAD unusable calibration, NO_DATA outside the amplifiers */

/* ---- background (background.c) ---- */

/* Clipped mode and noise of every cell of a mesh that divides the image evenly. */
int qk_background_cells(
    const float *image,               /* ny x nx */
    const int32_t *mask,              /* ny x nx, or NULL */
    int32_t bad,                      /* planes of pixels that are not used */
    int64_t ny,
    int64_t nx,
    int64_t cells_y,                  /* 1 to ny */
    int64_t cells_x,                  /* 1 to nx */
    double min_fraction,              /* 0 to 1: a cell with fewer usable pixels is empty */
    float *level,                     /* OUT cells_y x cells_x, NaN for an empty cell */
    float *noise);                    /* OUT standard deviation of one pixel, NaN for an empty cell */

/* Bicubic natural spline through the centres of a mesh, straight beyond the outer centres. */
int qk_spline(
    const double *mesh,               /* cells_y x cells_x, finite */
    int64_t cells_y,
    int64_t cells_x,
    const float *image,               /* ny x nx to subtract the spline from, or NULL */
    int64_t ny,
    int64_t nx,
    float *out);                      /* OUT the spline, or image minus spline */

/* ---- detection (significance.c, detect.c, deblend.c) ---- */

enum { QK_MAX_TERMS = 8, QK_MAX_SIDE = 127, QK_MAX_LEVELS = 128 };

/* Flags of a source or of a measurement. */
enum qk_flag {
    QK_FLAG_DEBLENDED = 1,   /* shares its footprint with other sources */
    QK_FLAG_EDGE = 2,        /* touches the border of the image */
    QK_FLAG_TOO_LARGE = 4,   /* its footprint has more pixels than are divided, and no peaks that stand out */
    QK_FLAG_MASKED = 8,      /* some pixels could not be used, and were filled or left out */
    QK_FLAG_NO_DATA = 16,    /* too few pixels, or a position off the image: the result is NaN */
    QK_FLAG_NOT_CONVERGED = 32,
    QK_FLAG_CROWD = 128,     /* its footprint is a crowd, and was divided by peaks */
    QK_FLAG_NEIGHBOUR = 64   /* some pixels belong to another source's segment, and were filled */
};

/* A detected source; moments are weighted by significance. */
typedef struct {
    double x, y;                      /* mean position, pixels */
    double xx, yy, xy;                /* second moments, pixel^2 */
    double flux;                      /* sum of the image over the segment, its unit */
    double weight;                    /* sum of the significance over the segment */
    float peak;                       /* greatest significance */
    int32_t peak_x, peak_y;           /* its pixel */
    int32_t x_min, x_max, y_min, y_max;
    int32_t pixels;                   /* of the segment */
    int32_t footprint;                /* number of the footprint, from 0 */
    int32_t siblings;                 /* other sources in it */
    int32_t planes;                   /* mask planes of any pixel of the segment */
    int32_t flags;                    /* enum qk_flag */
} qk_source;

/* Image convolved with sum over t of kernel_y[t] kernel_x[t], in standard deviations of the result. Pixels that are not
 * finite count as zero, and so do those with a plane `bad` unless they were interpolated (QK_INTRP): every pixel gets what
 * the others around it say, so a footprint goes on over the pixels that are missing in it. */
int qk_significance(
    const float *image,               /* ny x nx, background subtracted */
    const int32_t *mask,              /* ny x nx, or NULL */
    int32_t bad,                      /* planes of pixels that are not used unless interpolated */
    const float *noise,               /* standard deviation of each pixel, ny x nx, or NULL */
    double noise_everywhere,          /* where noise is NULL */
    int64_t ny,
    int64_t nx,
    const float *kernel_y,            /* terms x side */
    const float *kernel_x,            /* terms x side */
    int64_t terms,                    /* 1 to QK_MAX_TERMS */
    int64_t side,                     /* odd, 1 to QK_MAX_SIDE */
    float *out);                      /* OUT ny x nx */

/* Footprints of connected pixels at or above a threshold, divided into sources. */
int qk_detect(
    const float *significance,        /* ny x nx, finite */
    const float *image,               /* ny x nx; what is not finite adds no flux */
    const int32_t *mask,              /* ny x nx, or NULL: only reported */
    int64_t ny,
    int64_t nx,
    double threshold,                 /* above 0 */
    int64_t min_pixels,               /* of a footprint and of a source in it */
    int64_t levels,                   /* of deblending, 1 (none) to QK_MAX_LEVELS */
    double contrast,                  /* share of the footprint's flux that makes a source of its own */
    int64_t reach,                    /* pixels around a peak that it must stand out from, in crowds: two widths (sigma) of
                                         the filter */
    int32_t *segments,                /* OUT ny x nx: 0, or 1 + number of the source */
    qk_source *sources,               /* OUT capacity */
    int64_t capacity,
    int64_t *n_sources);              /* OUT */

/* ---- missing pixels (interpolate.c) ---- */

/* Values of pixels from the nearest usable ones on both sides along the row or the column, whichever gap is shorter; at
 * the border of the image from the nearest on one side. */
int qk_interpolate(
    const float *image,               /* ny x nx */
    const int32_t *mask,              /* ny x nx, or NULL */
    int32_t bad,                      /* planes of pixels that say nothing */
    int64_t ny,
    int64_t nx,
    const uint8_t *wanted,            /* ny x nx, not 0: pixels to fill */
    int64_t longest,                  /* gap that is filled, pixels, 1 to QK_MAX_SIDE */
    int cubic,                        /* not 0: a cubic across gaps of one and two pixels, where two stand on each side */
    float *out,                       /* IN the image, OUT values where one was found */
    uint8_t *found);                  /* OUT ny x nx, 1 where one was */

/* ---- measurement (frame.c, aperture.c, moments.c) ---- */

/* What measurements look at. */
typedef struct {
    const float *image;               /* ny x nx, background subtracted */
    const float *variance;            /* ny x nx, the unit of the image squared, or NULL: noise and gain say it */
    const int32_t *mask;              /* ny x nx, or NULL */
    const int32_t *segments;          /* ny x nx, or NULL: pixels of another source's segment do not count */
    const float *fill;                /* ny x nx, or NULL: what stands for pixels with a plane `bad`; NaN for not known */
    const float *gains;               /* ny x nx, or NULL: the gain of every pixel, beside variance */
    int64_t ny, nx;
    double noise;                     /* standard deviation of the background in a pixel, where variance is NULL */
    double gain;                      /* electrons per unit of the image, 0 for not known: without variance the light has
                                         no noise of its own; with it, fits cannot tell the light's part. Of no account
                                         where there are gains */
    int32_t bad;                      /* planes of pixels that do not count */
} qk_frame;

/* Light that cannot be seen, in apertures and moments: an interpolated pixel has the value of `fill`, without it that of
 * the image; any other the value at the opposite side of the source; where that cannot be seen either, that of `fill`; and
 * at the last none. */

/* A flux. */
typedef struct {
    double flux, error;               /* unit of the image; NaN with QK_FLAG_NO_DATA */
    double area;                      /* pixels that were seen */
    int32_t planes;                   /* mask planes of any pixel in the aperture */
    int32_t flags;                    /* enum qk_flag */
} qk_flux;

/* Position and shape. */
typedef struct {
    double x, y;                      /* pixels */
    double xx, yy, xy;                /* pixel^2: of the source when adaptive, else of source times window */
    double flux;                      /* of the Gaussian that has these moments */
    double x_error, y_error, xx_error, yy_error, xy_error;
    int32_t flags;                    /* enum qk_flag; all else is NaN with NO_DATA or NOT_CONVERGED */
    int32_t unused;
} qk_moments;

/* Fluxes in ellipses, every pixel with its exact overlap. */
int qk_apertures(
    const qk_frame *frame,
    const double *x,                  /* n, pixels */
    const double *y,
    const double *a,                  /* n, half axes, pixels */
    const double *b,
    const double *theta,              /* n, radian, from x towards y */
    const int32_t *segment,           /* n, the sources' own segments, or NULL */
    int64_t n,
    qk_flux *out);                    /* OUT n */

/* Kron's first moment of the light in ellipses, in units of the half axes. */
int qk_kron_radii(
    const qk_frame *frame,
    const double *x,                  /* n, pixels */
    const double *y,
    const double *a,                  /* n, half axes, pixels */
    const double *b,
    const double *theta,              /* n, radian, from x towards y */
    const int32_t *segment,           /* n, or NULL */
    double reach,                     /* half axes within which pixels count */
    int64_t n,
    double *radius,                   /* OUT n, NaN without light */
    int32_t *flags);                  /* OUT n */

/* Positions under a round Gaussian window, or adaptive moments (Bernstein & Jarvis 2002). */
int qk_moments_of(
    const qk_frame *frame,
    const double *x,                  /* n, pixels to start from */
    const double *y,
    const double *size,               /* n, standard deviation of the window to start with, pixels */
    const int32_t *segment,           /* n, or NULL */
    int adaptive,                     /* 0: the window keeps its size */
    double most,                      /* second moment above which an iteration is given up, pixel^2 */
    double stray,                     /* pixels from the start beyond which it is given up */
    int64_t n,
    qk_moments *out);                 /* OUT n */

/* ---- PSF (psf.c, psf_photometry.c) ---- */

enum { QK_MAX_ORDER = 4, QK_MAX_PSF_TERMS = 15, QK_MAX_SAMPLING = 4 };

/* A PSF of side x side pixels as samples of what a pixel sees of a star, `sampling` of them a pixel along an axis, the
 * middle one on the star: 2 * (sampling * side / 2) + 1 along a side. Each is a polynomial of the position: term u^i v^j for
 * j = 0.., i = 0..order - j, with u = (x - x0) / scale_x, v = (y - y0) / scale_y. Evaluated, its pixels are scaled to sum 1. */
typedef struct {
    const double *coefficients;       /* terms x samples x samples */
    int64_t side;                     /* odd, 3 to QK_MAX_SIDE */
    int64_t sampling;                 /* 1 to QK_MAX_SAMPLING */
    int64_t order;                    /* 0 to QK_MAX_ORDER */
    double x0, y0, scale_x, scale_y;  /* pixels */
} qk_psf;

/* PSF flux and position. */
typedef struct {
    double flux, flux_error;          /* unit of the image; NaN with NO_DATA */
    double x, y, x_error, y_error;    /* pixels; errors are NaN where the position was kept */
    double chi2;                      /* per degree of freedom */
    int32_t unused;
    int32_t flags;                    /* enum qk_flag; NOT_CONVERGED: flux at the given position */
} qk_psf_flux;

/* The PSF at positions, its middle moved from the middle pixel. */
int qk_psf_draw(
    const qk_psf *psf,
    const double *x,                  /* n, pixels */
    const double *y,
    const double *dx,                 /* n, pixels, -0.5 to 0.5 */
    const double *dy,
    int64_t n,
    double *out);                     /* OUT n x side x side, NaN where it cannot be */

/* Coefficients of a PSF from stars, by least squares. */
int qk_psf_fit(
    const qk_frame *frame,            /* with `before`: the image without the models of all sources */
    const double *x,                  /* n, pixels, on the image */
    const double *y,
    const double *flux,               /* n, above 0 */
    const int32_t *segment,           /* n, or NULL */
    int64_t n,                        /* at least the number of terms */
    double softening,                 /* relative error of the PSF that bounds the weight of bright stars */
    const qk_psf *before,             /* a PSF of the same size to add the stars back with, or NULL */
    const qk_psf *psf,                /* size, sampling and order wanted; its coefficients are not read */
    double *coefficients);            /* OUT terms x samples x samples */

/* PSF fluxes of all sources together. */
int qk_psf_photometry(
    const qk_frame *frame,            /* segments are not used */
    const qk_psf *psf,
    const double *x,                  /* n, pixels */
    const double *y,
    const int64_t *order,             /* n, source numbers from bright to faint */
    int64_t n,
    int64_t visits,                   /* 1 to 100: rounds over all sources */
    double stray,                     /* pixels that a position may move */
    int free_position,                /* 0: positions are kept */
    qk_psf_flux *out,                 /* OUT n */
    float *left);                     /* OUT ny x nx: the image without the models */

/* ---- cosmic rays (cosmic.c) ---- */

/* Pixels hit by cosmic rays, by L.A.Cosmic. */
int qk_cosmic_rays(
    const qk_frame *frame,            /* background subtracted; segments are not used */
    double sigma,                     /* sharpness of a hit, standard deviations */
    double share,                     /* 0 to 1: of sigma, for neighbours of hits */
    double contrast,                  /* sharpness over fine structure: stars have less */
    int64_t rounds,                   /* 1 to 100, ends when nothing new is found */
    int32_t *found,                   /* OUT ny x nx: 1 for a hit */
    float *clean,                     /* OUT ny x nx: the image, hits replaced by the median around them */
    int64_t *n_found);                /* OUT hits */

/* ---- matching (match.c) ---- */

/* The nearest reference of every position within a radius. */
int qk_match(
    const double *ra,                 /* n, ICRS degrees; a position that is none matches nothing */
    const double *dec,
    int64_t n,
    const double *reference_ra,       /* n_references, ICRS degrees */
    const double *reference_dec,
    int64_t n_references,
    double radius,                    /* degrees, above 0, up to 90 */
    int64_t *nearest,                 /* OUT n, -1 for none; the first of equals */
    double *separation,               /* OUT n, degrees, NaN for none */
    int32_t *count);                  /* OUT n, references within the radius */

#endif
