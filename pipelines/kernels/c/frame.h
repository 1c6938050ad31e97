/* Private: how measurements see a frame. */
#ifndef QSERV_KERNELS_FRAME_H
#define QSERV_KERNELS_FRAME_H
#include "internal.h"

/* Whether a pixel belongs to another source; segment 0 belongs to all. */
QK_INLINE bool qk_foreign(const qk_frame *f, int64_t at, int32_t segment) {
    return f->segments && f->segments[at] != 0 && f->segments[at] != segment;
}

/* Whether a pixel counts for a source. */
QK_INLINE bool qk_counts(const qk_frame *f, int64_t at, int32_t segment) {
    if (!qk_usable(f->image[at], f->mask, at, f->bad)) return false;
    if (f->variance && !(f->variance[at] >= 0 && f->variance[at] < INFINITY)) return false;
    return !qk_foreign(f, at, segment);
}

/* Variance of a pixel without the light of the source when the frame has no variance of its own. */
QK_INLINE double qk_variance(const qk_frame *f, int64_t at) {
    return f->variance ? (double)f->variance[at] : f->noise * f->noise;
}

/* The light of a pixel as a source has it. */
typedef struct {
    double value, variance;
    int32_t flags;                /* what kind of pixel was filled: MASKED, EDGE, NEIGHBOUR; 0 for one that was seen */
    bool known;                   /* false where nothing was found to fill it with */
} qk_light;

/* The light of a pixel that does not count, on the image or off it, for a source at (x, y): see kernels.h. */
qk_light qk_missing(const qk_frame *f, double x, double y, int64_t column, int64_t row, int32_t segment);

/* Whether a pixel is on the image and counts for a source; its place. */
QK_INLINE bool qk_seen(const qk_frame *f, int64_t column, int64_t row, int32_t segment, int64_t *at) {
    *at = row * f->nx + column;
    return column >= 0 && row >= 0 && column < f->nx && row < f->ny && qk_counts(f, *at, segment);
}

/* The light of any pixel for a source at (x, y). */
QK_INLINE qk_light qk_light_at(const qk_frame *f, double x, double y, int64_t column, int64_t row, int32_t segment) {
    int64_t at;
    if (qk_seen(f, column, row, segment, &at)) return (qk_light){f->image[at], qk_variance(f, at), 0, true};
    return qk_missing(f, x, y, column, row, segment);
}

/* Variance of a pixel whose light is known but for `rest`, what a fit left of the image there: the noise of the sky and of
 * the model's light, not of what the pixel has by chance, which would make low pixels weigh more. The gain of a frame with
 * variances says how much of a variance is the light's. Never below a quarter of what is stated: models may be wrong.
 * per_unit is the variance of a unit of light, 1 / gain or 0, where the frame has not one for every pixel. */
QK_INLINE double qk_variance_with(const qk_frame *f, int64_t at, double rest, double per_unit) {
    if (!f->variance) return f->noise * f->noise + (f->image[at] > rest ? (f->image[at] - rest) * per_unit : 0);
    if (f->gains) per_unit = f->gains[at] > 0 ? 1 / (double)f->gains[at] : 0;
    double stated = f->variance[at], expected = stated - rest * per_unit;
    return expected > 0.25 * stated ? expected : 0.25 * stated;
}

/* Return QK_OK when the frame can be measured. */
int qk_check_frame(const qk_frame *f);

/* A box of pixels; beyond the image's border there are pixels to fill, as far as there are any opposite to them. */
typedef struct {
    int64_t x0, x1, y0, y1; /* from x0 and y0 up to, without, x1 and y1 */
} qk_box;

/* The box of half sizes around a position; empty when the position is off the image, or not finite. */
qk_box qk_box_of(const qk_frame *f, double x, double y, double half_x, double half_y);

#endif
