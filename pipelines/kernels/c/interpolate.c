/* Values for pixels that cannot be used, from the usable ones along the row and the column. */
#include "internal.h"

/* A line of pixels through the one to be filled. */
typedef struct {
    const float *image;
    const int32_t *mask;
    const uint8_t *known; /* pixels that have been filled and serve others, or NULL */
    int32_t bad;
    int64_t step, before, after; /* between neighbours in memory; pixels of the line on both sides */
} line;

static bool usable(const line *l, int64_t at, int64_t offset) {
    int64_t there = at + offset * l->step;
    if (offset < -l->before || offset > l->after) return false;
    return (l->known && l->known[there]) || qk_usable(l->image[there], l->mask, there, l->bad);
}

static double value_at(const line *l, int64_t at, int64_t offset) { return l->image[at + offset * l->step]; }

/* Distance of the nearest usable pixel on one side, 0 for none within `longest`. */
static int64_t nearest(const line *l, int64_t at, int64_t side, int64_t longest) {
    for (int64_t k = 1; k <= longest; k++)
        if (usable(l, at, side * k)) return k;
    return 0;
}

/* The value between the nearest usable pixels: cubic through two on each side of a gap of one or two pixels, which keeps
 * the top of a star, else straight. Returns the length of the gap, 0 where there is no usable pixel on one side. */
static int64_t across(const line *l, int64_t at, int64_t longest, bool cubic, double *value) {
    int64_t left = nearest(l, at, -1, longest), right = nearest(l, at, 1, longest), gap = left + right - 1;
    if (!left || !right || gap > longest) return 0;
    double a = value_at(l, at, -left), b = value_at(l, at, right);
    *value = (a * (double)right + b * (double)left) / (double)(left + right);
    if (!cubic || gap > 2 || !usable(l, at, -left - 1) || !usable(l, at, right + 1)) return gap;
    double x[4] = {(double)(-left - 1), (double)-left, (double)right, (double)(right + 1)};
    double y[4] = {value_at(l, at, -left - 1), a, b, value_at(l, at, right + 1)}, sum = 0, least = y[0];
    for (int k = 0; k < 4; k++) {
        double weight = 1;
        for (int m = 0; m < 4; m++)
            if (m != k) weight *= -x[m] / (x[k] - x[m]);
        sum += weight * y[k];
        if (y[k] < least) least = y[k];
    }
    *value = sum > least ? sum : least;
    return gap;
}

/* At the border of the image: the nearest usable pixel of the line, when the line ends on the other side. */
static int64_t beside(const line *l, int64_t at, int64_t longest, double *value) {
    int64_t left = nearest(l, at, -1, longest), right = nearest(l, at, 1, longest);
    bool to_the_end = left ? l->after < longest : l->before < longest;
    if (!left == !right || !to_the_end) return 0;
    *value = value_at(l, at, left ? -left : right);
    return left + right;
}

static bool fill(const line *lines, int64_t at, int64_t longest, bool cubic, float *out) {
    for (int border = 0; border < 2; border++) {
        double value[2] = {0, 0};
        int64_t gap[2];
        for (int k = 0; k < 2; k++)
            gap[k] = border ? beside(lines + k, at, longest, value + k) : across(lines + k, at, longest, cubic, value + k);
        if (!gap[0] && !gap[1]) continue;
        if (gap[0] == gap[1]) *out = (float)(0.5 * (value[0] + value[1]));
        else *out = (float)(gap[0] && (!gap[1] || gap[0] < gap[1]) ? value[0] : value[1]);
        return true;
    }
    return false;
}

/* Fill what is wanted and not found yet; a second pass fills crossings of rows and columns from what the first one found. */
static void pass(const float *image, const int32_t *mask, int32_t bad, int64_t ny, int64_t nx, const uint8_t *wanted,
                 int64_t longest, bool cubic, const uint8_t *known, float *out, uint8_t *found) {
    for (int64_t y = 0; y < ny; y++)
        for (int64_t x = 0; x < nx; x++) {
            int64_t at = y * nx + x;
            if (!wanted[at] || found[at]) continue;
            line lines[2] = {{image, mask, known, bad, 1, x, nx - 1 - x}, {image, mask, known, bad, nx, y, ny - 1 - y}};
            found[at] = fill(lines, at, longest, cubic, out + at);
        }
}

int qk_interpolate(const float *image, const int32_t *mask, int32_t bad, int64_t ny, int64_t nx, const uint8_t *wanted,
                   int64_t longest, int cubic, float *out, uint8_t *found) {
    if (qk_check_shape(ny, nx)) return QK_BAD_ARGUMENT;
    if (longest < 1 || longest > QK_MAX_SIDE) return qk_fail(QK_BAD_ARGUMENT, "gaps of %lld pixels", (long long)longest);
    memset(found, 0, (size_t)(ny * nx));
    pass(image, mask, bad, ny, nx, wanted, longest, cubic != 0, NULL, out, found);
    pass(out, mask, bad, ny, nx, wanted, longest, cubic != 0, found, out, found);
    return QK_OK;
}
