/* The frame that measurements share. */
#include "frame.h"

int qk_check_frame(const qk_frame *f) {
    if (qk_check_shape(f->ny, f->nx)) return QK_BAD_ARGUMENT;
    if (!f->variance && !(f->noise >= 0 && isfinite(f->noise))) return qk_fail(QK_BAD_ARGUMENT, "a noise of %g", f->noise);
    if (!(f->gain >= 0) || !isfinite(f->gain)) return qk_fail(QK_BAD_ARGUMENT, "a gain of %g", f->gain);
    return QK_OK;
}

qk_box qk_box_of(const qk_frame *f, double x, double y, double half_x, double half_y) {
    qk_box box = {0, 0, 0, 0};
    if (!(x > -half_x - 0.5 && x < (double)f->nx - 0.5 + half_x) || !(y > -half_y - 0.5 && y < (double)f->ny - 0.5 + half_y) || !(half_x < 1e9) ||
        !(half_y < 1e9))
        return box;
    box.x0 = (int64_t)ceil(x - half_x);
    box.y0 = (int64_t)ceil(y - half_y);
    box.x1 = (int64_t)floor(x + half_x) + 1;
    box.y1 = (int64_t)floor(y + half_y) + 1;
    if (box.x0 < -f->nx) box.x0 = -f->nx;
    if (box.y0 < -f->ny) box.y0 = -f->ny;
    if (box.x1 > 2 * f->nx) box.x1 = 2 * f->nx;
    if (box.y1 > 2 * f->ny) box.y1 = 2 * f->ny;
    return box;
}

static const double CUBIC_REACH = 8.0; /* pixels from the source: farther, light is smooth enough for a line */

/* Weights of four samples, the second and third around a place `part` of a pixel beyond the second: a cubic. */
static void cubic(double part, double *weight) {
    for (int k = 0; k < 4; k++) {
        weight[k] = 1;
        for (int m = 0; m < 4; m++)
            if (m != k) weight[k] *= (part + 1 - m) / (k - m);
    }
}

/* Add n x n pixels from (left, low), weighted; false where one of weight does not count. */
static bool weigh(const qk_frame *f, int64_t left, int64_t low, int n, const double *wx, const double *wy, int32_t segment,
                  qk_light *out) {
    out->value = out->variance = 0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) {
            double weight = wx[i] * wy[j];
            int64_t at;
            if (weight == 0) continue;
            if (!qk_seen(f, left + i, low + j, segment, &at)) return false;
            out->value += weight * f->image[at];
            if (weight > 0.1) out->variance += weight * qk_variance(f, at);
        }
    return true;
}

/* The light at any place: near the source by the 4 x 4 pixels around it, elsewhere, and where some of those do not count,
 * by 2 x 2; false where of these one does not. */
static bool sample(const qk_frame *f, double x, double y, bool near, int32_t segment, qk_light *out) {
    if (!(x > -1 && y > -1 && x < (double)f->nx && y < (double)f->ny)) return false;
    int64_t left = (int64_t)floor(x), low = (int64_t)floor(y);
    double u = x - floor(x), v = y - floor(y), wx[4], wy[4], line_x[2] = {1 - u, u}, line_y[2] = {1 - v, v};
    if (near) {
        cubic(u, wx);
        cubic(v, wy);
        if (weigh(f, left - 1, low - 1, 4, wx, wy, segment, out)) return true;
    }
    return weigh(f, left, low, 2, line_x, line_y, segment, out);
}

/* The variance of a pixel; where it is not known, that of the sky, or none. */
static double variance_or_less(const qk_frame *f, int64_t at) {
    double variance = qk_variance(f, at);
    return variance >= 0 && variance < INFINITY ? variance : f->noise * f->noise;
}

qk_light qk_missing(const qk_frame *f, double x, double y, int64_t column, int64_t row, int32_t segment) {
    qk_light out = {0, 0, QK_FLAG_EDGE, true};
    int64_t at = row * f->nx + column;
    bool on = column >= 0 && row >= 0 && column < f->nx && row < f->ny, filled = false;
    if (on) {
        bool foreign = qk_foreign(f, at, segment);
        out.flags = foreign ? QK_FLAG_NEIGHBOUR : QK_FLAG_MASKED;
        filled = !foreign && f->fill && isfinite(f->fill[at]);
        bool interpolated = !foreign && f->mask && (f->mask[at] & QK_INTRP) && isfinite(f->image[at]);
        if (interpolated) {
            out.value = filled ? f->fill[at] : f->image[at];
            out.variance = variance_or_less(f, at);
            return out;
        }
    }
    double dx = x - (double)column, dy = y - (double)row;
    if (sample(f, x + dx, y + dy, dx * dx + dy * dy < CUBIC_REACH * CUBIC_REACH, segment, &out)) {
        out.variance *= 3; /* the pixel opposite counts twice, for itself and for this one: four times its variance */
        return out;
    }
    out.known = filled;
    if (filled) {
        out.value = f->fill[at];
        out.variance = variance_or_less(f, at);
    }
    return out;
}
