/* Private: what footprints (detect.c) and their division into sources (deblend.c) share. */
#ifndef QSERV_KERNELS_DETECT_H
#define QSERV_KERNELS_DETECT_H
#include "internal.h"

/* The image in which sources are looked for, and how. */
typedef struct {
    const float *significance, *image;
    const int32_t *mask;
    int64_t ny, nx;
    float threshold;
    int64_t min_pixels, levels;
    double contrast;
    int64_t reach;
    int32_t *segments; /* 0 outside footprints; while a footprint is divided: 1 + place in its list of pixels */
} qk_field;

/* A connected part of a footprint above some level. */
typedef struct {
    double flux;
    int32_t pixels, peak;
    int32_t first_object, last_object, n_objects; /* list of peaks; none while the part is one object */
    int32_t first_kid, last_kid;                  /* list of the parts of the level above that it joins */
} qk_part;

/* Scratch of one footprint, as large as the largest needs. */
typedef struct {
    int64_t capacity;
    int32_t *pixels;   /* numbers of pixels in the image, in the order of the footprint */
    int64_t n;
    int32_t *parent, *order, *active, *next_kid, *object_peak, *next_object, *heap, *label;
    uint8_t *level;
    qk_part *part, *kid;
    int32_t n_peaks;   /* OUT sources in the footprint; label[i] is that of pixel i, from 0 */
    int32_t flags;     /* OUT */
} qk_blend;

bool qk_blend_open(qk_blend *blend, int64_t capacity);
void qk_blend_close(qk_blend *blend);

/* Divide a footprint into sources. */
void qk_deblend(const qk_field *field, int32_t *pixels, int64_t n, qk_blend *blend);

/* Fill the sources of a divided footprint, and give their pixels the numbers first + 1, first + 2, ... */
void qk_measure_segments(const qk_field *field, const qk_blend *blend, qk_source *sources, int32_t first);

#endif
