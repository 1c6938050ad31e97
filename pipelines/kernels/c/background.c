/* Background on a mesh: the clipped mode and noise of every cell, and a bicubic spline back to pixels.
 *
 * A cell's pixels go once into a histogram around the median of a sample; clipping then works on the histogram, in
 * integers, so it costs the same for any number of rounds and every summation order gives the same result. */
#include "internal.h"

enum { SAMPLE = 256, BINS = 512, ROUNDS = 30 };
static const double RANGE = 5.0;         /* sigmas of the sample on both sides that the histogram covers */
static const double CLIP = 3.0;          /* sigmas */
static const double TRUNCATED = 0.98658; /* standard deviation of a normal distribution that is cut at 3 sigmas */
static const float MAD_TO_SIGMA = 1.4826f;

typedef struct {
    const float *image;
    const int32_t *mask;
    int32_t bad;
    int64_t nx, y0, y1, x0, x1;
} cell;

/* Some usable pixels, evenly spread over the cell. */
static int64_t sample_of(const cell *c, float *sample) {
    int64_t width = c->x1 - c->x0, pixels = width * (c->y1 - c->y0), n = 0;
    int64_t step = (pixels + SAMPLE - 1) / SAMPLE | 1; /* odd: does not walk down a column */
    for (int64_t i = 0; i < pixels; i += step) {
        int64_t at = (c->y0 + i / width) * c->nx + c->x0 + i % width;
        if (qk_usable(c->image[at], c->mask, at, c->bad)) sample[n++] = c->image[at];
    }
    return n;
}

/* Middle and half width of the range to look at; false when the cell has no usable pixel in the sample. */
static bool first_guess(const cell *c, float *middle, float *sigma) {
    float sample[SAMPLE];
    int64_t n = sample_of(c, sample);
    if (n == 0) return false;
    *middle = qk_median(sample, n);
    for (int64_t i = 0; i < n; i++) sample[i] = fabsf(sample[i] - *middle);
    *sigma = qk_median(sample, n) * MAD_TO_SIGMA;
    if (*sigma > 0) return true;
    double sum = 0; /* more than half are the same value, as in few counts: take all of them */
    for (int64_t i = 0; i < n; i++) sum += (double)sample[i] * sample[i];
    *sigma = (float)sqrt(sum / (double)n);
    return true;
}

/* Count usable pixels per bin; bins BINS (outside) and BINS + 1 (unusable) catch the rest. */
QK_CLONES static void fill(const cell *c, float low, float per_unit, int32_t *restrict count) {
    uint16_t bin[256];
    memset(count, 0, (BINS + 2) * sizeof *count);
    for (int64_t y = c->y0; y < c->y1; y++)
        for (int64_t x = c->x0; x < c->x1; x += 256) {
            int64_t n = c->x1 - x < 256 ? c->x1 - x : 256;
            const float *restrict row = c->image + y * c->nx + x;
            for (int64_t i = 0; i < n; i++) {
                float place = (row[i] - low) * per_unit;
                float inside = place >= 0.0f && place < (float)BINS ? place : (float)BINS;
                bin[i] = (uint16_t)(int32_t)(fabsf(row[i]) < INFINITY ? inside : (float)(BINS + 1));
            }
            if (c->mask) {
                const int32_t *restrict planes = c->mask + y * c->nx + x;
                for (int64_t i = 0; i < n; i++) bin[i] = planes[i] & c->bad ? BINS + 1 : bin[i];
            }
            for (int64_t i = 0; i < n; i++) count[bin[i]]++;
        }
}

typedef struct {
    double mean, median, sigma; /* in bins */
} moments;

static moments moments_of(const int32_t *count, int first, int last) {
    int64_t n = 0, sum = 0, square = 0;
    for (int64_t i = first; i <= last; i++) {
        n += count[i];
        sum += count[i] * i;
        square += count[i] * i * i;
    }
    if (n == 0) return (moments){NAN, NAN, NAN};
    double mean = (double)sum / (double)n, variance = (double)square / (double)n - mean * mean;
    int64_t below = 0;
    int i = first;
    while (2 * (below + count[i]) < n) below += count[i++];
    double median = i + (0.5 * (double)n - (double)below) / count[i];
    return (moments){mean + 0.5, median, sqrt(variance > 0 ? variance : 0)};
}

/* Clip at 3 sigmas around the median until nothing changes. */
static moments clipped(const int32_t *count) {
    int first = 0, last = BINS - 1;
    moments m = moments_of(count, first, last);
    for (int round = 0; round < ROUNDS && m.sigma > 0; round++) {
        double low = floor(m.median - CLIP * m.sigma), high = floor(m.median + CLIP * m.sigma);
        int from = low > first ? (int)low : first, to = high < last ? (int)high : last;
        if (from == first && to == last) break;
        first = from;
        last = to;
        m = moments_of(count, first, last);
    }
    return m;
}

static void cell_level(const cell *c, double min_fraction, float *level, float *noise) {
    int32_t count[BINS + 2];
    float middle, sigma;
    *level = *noise = NAN;
    if (!first_guess(c, &middle, &sigma)) return;
    float per_unit = sigma > 0 ? (float)(BINS / (2 * RANGE)) / sigma : 0;
    if (!isfinite(per_unit)) sigma = per_unit = 0; /* less than float can divide by */
    float low = middle - (float)RANGE * sigma;
    if (!isfinite(low) || !isfinite(sigma)) return;
    fill(c, low, per_unit, count);
    double pixels = (double)((c->y1 - c->y0) * (c->x1 - c->x0));
    if (pixels - count[BINS + 1] < min_fraction * pixels) return;
    *level = middle;
    *noise = 0;
    if (sigma == 0) return;
    moments m = clipped(count);
    if (isnan(m.median)) return;
    /* Pearson's mode while the tail of faint sources is a small one, else the median (Bertin & Arnouts 1996). */
    double mode = fabs(m.mean - m.median) < 0.3 * m.sigma ? 2.5 * m.median - 1.5 * m.mean : m.median;
    *level = (float)((double)low + mode / (double)per_unit);
    *noise = (float)(m.sigma / TRUNCATED / (double)per_unit);
}

int qk_background_cells(const float *image, const int32_t *mask, int32_t bad, int64_t ny, int64_t nx, int64_t cells_y,
                        int64_t cells_x, double min_fraction, float *level, float *noise) {
    if (qk_check_shape(ny, nx)) return QK_BAD_ARGUMENT;
    if (cells_y < 1 || cells_x < 1 || cells_y > ny || cells_x > nx)
        return qk_fail(QK_BAD_ARGUMENT, "a mesh of %lld x %lld cells on an image of %lld x %lld", (long long)cells_y,
                       (long long)cells_x, (long long)ny, (long long)nx);
    if (!(min_fraction >= 0 && min_fraction <= 1)) return qk_fail(QK_BAD_ARGUMENT, "a fraction of %g", min_fraction);
    for (int64_t j = 0; j < cells_y; j++)
        for (int64_t i = 0; i < cells_x; i++) {
            cell c = {image, mask, bad, nx, j * ny / cells_y, (j + 1) * ny / cells_y, i * nx / cells_x, (i + 1) * nx / cells_x};
            cell_level(&c, min_fraction, level + j * cells_x + i, noise + j * cells_x + i);
        }
    return QK_OK;
}

/* Second derivatives of the natural cubic spline through n values, stride apart, at knots one unit apart. */
static void second_derivatives(const double *value, int64_t n, int64_t stride, double *second, double *scratch) {
    second[0] = 0;
    if (n < 2) return;
    scratch[0] = 0;
    for (int64_t i = 1; i < n - 1; i++) {
        double right = 6 * (value[(i + 1) * stride] - 2 * value[i * stride] + value[(i - 1) * stride]);
        double pivot = 4 - (i > 1 ? scratch[i - 1] : 0);
        scratch[i] = 1 / pivot;
        second[i * stride] = (right - (i > 1 ? second[(i - 1) * stride] : 0)) / pivot;
    }
    second[(n - 1) * stride] = 0;
    for (int64_t i = n - 3; i >= 1; i--) second[i * stride] -= scratch[i] * second[(i + 1) * stride];
}

/* The knot below a place and the way to the next one; the first and last pieces reach to the image's border. */
static int64_t piece_of(double place, int64_t n, double *part) {
    int64_t knot = (int64_t)floor(place);
    if (knot > n - 2) knot = n - 2;
    if (knot < 0) knot = 0;
    *part = place - (double)knot;
    return knot;
}

typedef struct {
    float a, b, c, d; /* a + t (b + t (c + t d)) */
} cubic;

/* Beyond the outer knots the spline goes on as a straight line. */
static cubic cubic_of(double v0, double v1, double m0, double m1) {
    return (cubic){(float)v0, (float)(v1 - v0 - (2 * m0 + m1) / 6), (float)(m0 / 2), (float)((m1 - m0) / 6)};
}

QK_CLONES static void evaluate(cubic f, float first, float step, int64_t n, const float *restrict from, float *restrict to) {
    for (int64_t i = 0; i < n; i++) {
        float t = first + step * (float)i;
        float u = t < 0 ? 0 : t > 1 ? 1 : t;
        float value = f.a + u * (f.b + u * (f.c + u * f.d));
        value += (t - u) * (f.b + u * (2 * f.c + u * (3 * f.d)));
        to[i] = from ? from[i] - value : value;
    }
}

/* One row of pixels from the knots of that row and their second derivatives. */
static void spline_row(const double *knot, const double *second, int64_t cells, int64_t nx, const float *from, float *to) {
    if (cells == 1) {
        evaluate((cubic){(float)knot[0], 0, 0, 0}, 0, 0, nx, from, to);
        return;
    }
    double step = (double)cells / (double)nx;
    int64_t x = 0;
    for (int64_t i = 0; i + 1 < cells; i++) {
        /* pixels before the centre of the next cell; the last piece takes all that are left */
        int64_t end = i + 2 == cells ? nx : (int64_t)ceil(((double)i + 1.5) / step - 0.5);
        if (end > nx) end = nx;
        if (end <= x) continue;
        double first = ((double)x + 0.5) * step - 0.5 - (double)i;
        evaluate(cubic_of(knot[i], knot[i + 1], second[i], second[i + 1]), (float)first, (float)step, end - x,
                 from ? from + x : NULL, to + x);
        x = end;
    }
}

int qk_spline(const double *mesh, int64_t cells_y, int64_t cells_x, const float *image, int64_t ny, int64_t nx, float *out) {
    if (qk_check_shape(ny, nx)) return QK_BAD_ARGUMENT;
    if (cells_y < 1 || cells_x < 1 || cells_y > ny || cells_x > nx)
        return qk_fail(QK_BAD_ARGUMENT, "a mesh of %lld x %lld cells on an image of %lld x %lld", (long long)cells_y,
                       (long long)cells_x, (long long)ny, (long long)nx);
    int64_t longest = cells_y > cells_x ? cells_y : cells_x;
    double *second = qk_scratch(cells_y * cells_x, sizeof *second);
    double *row = qk_scratch(3 * longest, sizeof *row);
    if (!second || !row) {
        free(second);
        free(row);
        return QK_LIMIT;
    }
    double *row_second = row + longest, *scratch = row + 2 * longest;
    for (int64_t i = 0; i < cells_x; i++) {
        if (cells_y == 1) second[i] = 0;
        else second_derivatives(mesh + i, cells_y, cells_x, second + i, scratch);
    }
    for (int64_t y = 0; y < ny; y++) {
        double t, u;
        int64_t j = piece_of(((double)y + 0.5) * (double)cells_y / (double)ny - 0.5, cells_y, &t);
        for (int64_t i = 0; i < cells_x; i++) {
            if (cells_y == 1) {
                row[i] = mesh[i];
                continue;
            }
            double v0 = mesh[j * cells_x + i], v1 = mesh[(j + 1) * cells_x + i];
            double m0 = second[j * cells_x + i], m1 = second[(j + 1) * cells_x + i];
            double b = v1 - v0 - (2 * m0 + m1) / 6, c = m0 / 2, d = (m1 - m0) / 6;
            u = t < 0 ? 0 : t > 1 ? 1 : t;
            row[i] = v0 + u * (b + u * (c + u * d)) + (t - u) * (b + u * (2 * c + 3 * u * d));
        }
        second_derivatives(row, cells_x, 1, row_second, scratch);
        spline_row(row, row_second, cells_x, nx, image ? image + y * nx : NULL, out + y * nx);
    }
    free(second);
    free(row);
    return QK_OK;
}
