/* Private: how measurements see a frame. */
#ifndef QSERV_KERNELS_FRAME_H
#define QSERV_KERNELS_FRAME_H
#include "internal.h"

/* Whether a pixel counts for a source; segment 0 counts for all, other segments for their source only. */
QK_INLINE bool qk_counts(const qk_frame *f, int64_t at, int32_t segment) {
    if (!qk_usable(f->image[at], f->mask, at, f->bad)) return false;
    if (f->variance && !(f->variance[at] >= 0 && f->variance[at] < INFINITY)) return false;
    return !f->segments || f->segments[at] == 0 || f->segments[at] == segment;
}

/* Variance of a pixel without the light of the source when the frame has no variance of its own. */
QK_INLINE double qk_variance(const qk_frame *f, int64_t at) {
    return f->variance ? (double)f->variance[at] : f->noise * f->noise;
}

/* Return QK_OK when the frame can be measured. */
int qk_check_frame(const qk_frame *f);

/* A box of pixels, cut at the image's border. */
typedef struct {
    int64_t x0, x1, y0, y1; /* from x0 and y0 up to, without, x1 and y1 */
    bool cut;
} qk_box;

/* The box of half sizes around a position; empty when it is off the image, or not finite. */
qk_box qk_box_of(const qk_frame *f, double x, double y, double half_x, double half_y);

#endif
