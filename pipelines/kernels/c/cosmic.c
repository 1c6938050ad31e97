/* Cosmic rays by L.A.Cosmic (van Dokkum 2001): edges sharper than any star's.
 *
 * The Laplacian of the image, which is cheap, is taken everywhere; the medians that the method compares it with, which are
 * not, only around pixels where the Laplacian alone is large enough. The result is the same. */
#include "frame.h"

enum { WIDE = 7, LEAST_LOOKS = 10000, LOOKS_SHARE = 20 }; /* pixels of a round that may be looked at closely: one in 20 */

static const double GROWTH_SHARE = 0.4; /* of the contrast of hits, that their neighbours need */

/* The image as cleaned so far and which pixels count. */
typedef struct {
    const qk_frame *frame;
    float *clean;
    int32_t *found; /* 1 where a ray hit */
    double sigma, share, contrast;
} search;

static bool usable(const search *s, int64_t x, int64_t y) {
    const qk_frame *f = s->frame;
    return x >= 0 && y >= 0 && x < f->nx && y < f->ny && qk_counts(f, y * f->nx + x, 0);
}

static double median_of(double *values, int n) {
    if (n == 0) return NAN;
    for (int i = 1; i < n; i++) {
        double value = values[i];
        int j = i;
        for (; j > 0 && values[j - 1] > value; j--) values[j] = values[j - 1];
        values[j] = value;
    }
    return n & 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Median of the usable pixels of a square, without those that were hit when `whole` is set. */
static double local_median(const search *s, int64_t x, int64_t y, int radius, bool whole) {
    double values[WIDE * WIDE];
    int n = 0;
    for (int64_t j = y - radius; j <= y + radius; j++)
        for (int64_t i = x - radius; i <= x + radius; i++)
            if (usable(s, i, j) && !(whole && s->found[j * s->frame->nx + i])) values[n++] = s->clean[j * s->frame->nx + i];
    return median_of(values, n);
}

static double noise_at(const search *s, int64_t x, int64_t y) {
    const qk_frame *f = s->frame;
    if (!f->variance) {
        double light = f->gain > 0 ? local_median(s, x, y, 2, false) : 0;
        return sqrt(f->noise * f->noise + (light > 0 ? light / f->gain : 0));
    }
    double values[WIDE * WIDE]; /* the variance of a hit pixel is the hit's: take its surroundings' */
    int n = 0;
    for (int64_t j = y - 2; j <= y + 2; j++)
        for (int64_t i = x - 2; i <= x + 2; i++)
            if (usable(s, i, j)) values[n++] = f->variance[j * f->nx + i];
    return sqrt(median_of(values, n));
}

/* A neighbour's value, the pixel's own where there is none. */
static double beside(const search *s, int64_t x, int64_t y, double own) {
    return usable(s, x, y) ? (double)s->clean[y * s->frame->nx + x] : own;
}

static double positive(double value) { return value > 0 ? value : 0; }

/* Laplacian of the image in half pixels, negative parts cut, averaged back. */
static double laplacian(const search *s, int64_t x, int64_t y) {
    double own = s->clean[y * s->frame->nx + x], up = beside(s, x, y + 1, own), down = beside(s, x, y - 1, own);
    double left = beside(s, x - 1, y, own), right = beside(s, x + 1, y, own);
    return 0.25 * (positive(2 * own - up - left) + positive(2 * own - up - right) + positive(2 * own - down - left) +
                   positive(2 * own - down - right));
}

static double edge(const search *s, int64_t x, int64_t y) { return laplacian(s, x, y) / (2 * noise_at(s, x, y)); }

/* Sharpness beyond that of the surroundings, in standard deviations; NaN where the noise is not known. */
static double sharpness(const search *s, int64_t x, int64_t y) {
    double values[WIDE * WIDE];
    int n = 0;
    for (int64_t j = y - 2; j <= y + 2; j++)
        for (int64_t i = x - 2; i <= x + 2; i++)
            if (usable(s, i, j)) values[n++] = edge(s, i, j);
    return edge(s, x, y) - median_of(values, n);
}

/* Structure that a star has and a ray has not: what a small median keeps and a large one does not, in noise. */
static double fine_structure(const search *s, int64_t x, int64_t y) {
    double values[WIDE * WIDE];
    int n = 0;
    for (int64_t j = y - 3; j <= y + 3; j++)
        for (int64_t i = x - 3; i <= x + 3; i++)
            if (usable(s, i, j)) values[n++] = local_median(s, i, j, 1, false);
    double fine = (local_median(s, x, y, 1, false) - median_of(values, n)) / noise_at(s, x, y);
    return fine > 0.01 ? fine : 0.01;
}

/* Whether the Laplacian divided by the least noise that a pixel can have is above the limit, for a whole row. */
QK_CLONES static void sharp_row(const float *restrict below, const float *restrict row, const float *restrict above,
                                int64_t nx, float limit, uint8_t *restrict sharp) {
    for (int64_t x = 1; x < nx - 1; x++) {
        float own = 2 * row[x], a = own - row[x - 1], b = own - row[x + 1];
        float p = a - below[x], q = b - below[x], r = a - above[x], t = b - above[x];
        float sum = (p <= 0 ? 0 : p) + (q <= 0 ? 0 : q) + (r <= 0 ? 0 : r) + (t <= 0 ? 0 : t);
        sharp[x] = !(sum <= limit); /* what is not finite is looked at more closely */
    }
}

/* Mark pixels beside unusable ones as well: what stands there says nothing. */
QK_CLONES static void doubtful_row(const qk_frame *f, int64_t y, uint8_t *restrict sharp) {
    int64_t nx = f->nx, from = y * nx;
    if (f->mask) {
        const int32_t *restrict row = f->mask + from, *restrict below = row - nx, *restrict above = row + nx;
        for (int64_t x = 1; x < nx - 1; x++) sharp[x] |= ((row[x - 1] | row[x + 1] | below[x] | above[x]) & f->bad) != 0;
    }
    if (f->variance) {
        const float *restrict row = f->variance + from, *restrict below = row - nx, *restrict above = row + nx;
        for (int64_t x = 1; x < nx - 1; x++) {
            float sum = fabsf(row[x - 1]) + fabsf(row[x + 1]) + fabsf(below[x]) + fabsf(above[x]);
            sharp[x] |= !(sum < INFINITY) | !(row[x - 1] >= 0) | !(row[x + 1] >= 0) | !(below[x] >= 0) | !(above[x] >= 0);
        }
    }
}

/* The least noise that any pixel of every row can have: that of the least variance within two rows. */
static void least_noise(const qk_frame *f, double *least, double *scratch) {
    for (int64_t y = 0; y < f->ny; y++) {
        scratch[y] = INFINITY;
        for (int64_t x = 0; x < f->nx; x++)
            if (f->variance[y * f->nx + x] >= 0 && f->variance[y * f->nx + x] < scratch[y]) scratch[y] = f->variance[y * f->nx + x];
    }
    for (int64_t y = 0; y < f->ny; y++) {
        double variance = INFINITY;
        for (int64_t j = y > 2 ? y - 2 : 0; j <= y + 2 && j < f->ny; j++)
            if (scratch[j] < variance) variance = scratch[j];
        least[y] = variance > 0 && variance < INFINITY ? sqrt(variance) : 0;
    }
}

/* Mark the hits of one round behind the n that are there; returns how many there are then, -1 where more pixels are sharp than may be looked at: what a hit
 * costs is medians of medians, and where everything is sharp the noise is wrong. */
static int64_t mark(search *s, const double *least, uint8_t *sharp, int32_t *hits, int64_t n) {
    const qk_frame *f = s->frame;
    int64_t looked_at = 0, most = LEAST_LOOKS + f->ny * f->nx / LOOKS_SHARE;
    for (int64_t y = 0; y < f->ny; y++) {
        double noise = f->variance ? least[y] : f->noise;
        /* sum / 4 / (2 noise) > sigma, with a margin for the rounding of float */
        float limit = (float)(8 * s->sigma * noise * 0.999);
        memset(sharp, 1, (size_t)f->nx);
        if (y > 0 && y < f->ny - 1) {
            sharp_row(s->clean + (y - 1) * f->nx, s->clean + y * f->nx, s->clean + (y + 1) * f->nx, f->nx, limit, sharp);
            doubtful_row(f, y, sharp);
        }
        for (int64_t x = 0; x < f->nx; x++) {
            if (!sharp[x] || !usable(s, x, y) || s->found[y * f->nx + x]) continue;
            if (!(laplacian(s, x, y) > 2 * noise * s->sigma) || !(edge(s, x, y) > s->sigma)) continue;
            if (++looked_at > most) return -1;
            double value = sharpness(s, x, y);
            if (value > s->sigma && value / fine_structure(s, x, y) > s->contrast) hits[n++] = (int32_t)(y * f->nx + x);
        }
    }
    return n;
}

/* Neighbours of hits, of this round and those before, that are sharp enough are hits too, but not the flanks of a star that
 * was hit; returns how many hits there are then. */
static int64_t grow(search *s, int32_t *hits, int64_t n, double limit) {
    const qk_frame *f = s->frame;
    int64_t before = n;
    for (int64_t k = 0; k < before; k++)
        for (int64_t j = hits[k] / f->nx - 1; j <= hits[k] / f->nx + 1; j++)
            for (int64_t i = hits[k] % f->nx - 1; i <= hits[k] % f->nx + 1; i++) {
                if (!usable(s, i, j) || s->found[j * f->nx + i]) continue;
                double value = sharpness(s, i, j);
                if (value > limit && value / fine_structure(s, i, j) > GROWTH_SHARE * s->contrast) {
                    s->found[j * f->nx + i] = 1;
                    hits[n++] = (int32_t)(j * f->nx + i);
                }
            }
    return n;
}

/* Put the median of what was not hit around them into hits. */
static void repair(search *s, const int32_t *hits, int64_t n) {
    const qk_frame *f = s->frame;
    for (int64_t k = 0; k < n; k++) {
        double value = local_median(s, hits[k] % f->nx, hits[k] / f->nx, 2, true);
        s->clean[hits[k]] = isnan(value) ? NAN : (float)value;
    }
}

int qk_cosmic_rays(const qk_frame *frame, double sigma, double share, double contrast, int64_t rounds, int32_t *found,
                   float *clean, int64_t *n_found) {
    if (qk_check_frame(frame)) return QK_BAD_ARGUMENT;
    if (!(sigma > 0) || !(share > 0 && share <= 1) || !(contrast > 0) || rounds < 1 || rounds > 100)
        return qk_fail(QK_BAD_ARGUMENT, "%g sigmas, %g of them for neighbours, contrast %g, %lld rounds", sigma, share,
                       contrast, (long long)rounds);
    if (!frame->variance && !(frame->noise > 0)) return qk_fail(QK_BAD_ARGUMENT, "a noise of %g", frame->noise);
    int64_t pixels = frame->ny * frame->nx;
    qk_frame whole = *frame;
    whole.segments = NULL;
    search s = {&whole, clean, found, sigma, share, contrast};
    int32_t *hits = qk_scratch(pixels, sizeof *hits); /* a pixel is hit once at the most */
    double *least = qk_scratch(2 * frame->ny, sizeof *least);
    uint8_t *sharp = qk_scratch(frame->nx, sizeof *sharp);
    int status = hits && least && sharp ? QK_OK : QK_LIMIT;
    if (status == QK_OK) {
        memcpy(clean, frame->image, (size_t)pixels * sizeof *clean);
        memset(found, 0, (size_t)pixels * sizeof *found);
    }
    if (status == QK_OK && frame->variance) least_noise(&whole, least, least + frame->ny);
    int64_t n = 0;
    for (int64_t round = 0; round < rounds && status == QK_OK; round++) {
        int64_t before = n, marked = mark(&s, least, sharp, hits, n);
        if (marked < 0) {
            status = qk_fail(QK_LIMIT, "more than one pixel in %d is as sharp as a cosmic ray", LOOKS_SHARE);
            break;
        }
        for (int64_t k = n; k < marked; k++) found[hits[k]] = 1;
        n = grow(&s, hits, marked, sigma);
        n = grow(&s, hits, n, sigma * share);
        if (n == before) break;
        repair(&s, hits + before, n - before);
    }
    *n_found = n;
    free(hits);
    free(least);
    free(sharp);
    return status;
}
