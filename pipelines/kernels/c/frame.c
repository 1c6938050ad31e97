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

/* Weights of four samples, the second and third around a place `part` of a pixel beyond the second: a cubic. */
static void cubic(double part, double *weight) {
    for (int k = 0; k < 4; k++) {
        weight[k] = 1;
        for (int m = 0; m < 4; m++)
            if (m != k) weight[k] *= (part + 1 - m) / (k - m);
    }
}

/* The light at any place, by the 4 x 4 pixels around it, by the 2 x 2 where some of those do not count; false where of
 * these one does not. */
static bool sample(const qk_frame *f, double x, double y, int32_t segment, qk_light *out) {
    double weights[2][2][4] = {{{0}}};
    int64_t left = (int64_t)floor(x) - 1, low = (int64_t)floor(y) - 1;
    double u = x - floor(x), v = y - floor(y);
    bool whole = true;
    if (left < -1 || low < -1 || left + 2 > f->nx || low + 2 > f->ny) return false;
    for (int64_t j = 0; j < 4; j++)
        for (int64_t i = 0; i < 4; i++) {
            int64_t column = left + i, row = low + j;
            bool inner = i > 0 && i < 3 && j > 0 && j < 3 && !(i == 2 && u == 0) && !(j == 2 && v == 0);
            bool counts = column >= 0 && row >= 0 && column < f->nx && row < f->ny && qk_counts(f, row * f->nx + column, segment);
            if (inner && !counts) return false;
            whole &= counts;
        }
    cubic(u, weights[1][0]);
    cubic(v, weights[1][1]);
    weights[0][0][1] = 1 - u, weights[0][0][2] = u;
    weights[0][1][1] = 1 - v, weights[0][1][2] = v;
    out->value = out->variance = 0;
    for (int64_t j = 0; j < 4; j++)
        for (int64_t i = 0; i < 4; i++) {
            double weight = weights[whole][0][i] * weights[whole][1][j];
            if (weight == 0) continue;
            int64_t at = (low + j) * f->nx + left + i;
            out->value += weight * f->image[at];
            if (fabs(weight) > 0.1) out->variance += fabs(weight) * qk_variance(f, at);
        }
    return true;
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
    if (sample(f, 2 * x - (double)column, 2 * y - (double)row, segment, &out)) {
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
