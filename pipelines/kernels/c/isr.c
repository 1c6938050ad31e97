/* Raw counts to electrons in one pass: each pixel is read once and its three results are written once. */
#include "internal.h"

static bool inside(int64_t first, int64_t count, int64_t size) { return first >= 0 && count >= 0 && first + count <= size; }

static int check_amplifier(const qk_amplifier *amp, int64_t number, int overscan, int64_t raw_ny, int64_t raw_nx,
                           int64_t ny, int64_t nx) {
    long long n = (long long)number;
    if (amp->width < 1 || amp->height < 1) return qk_fail(QK_BAD_ARGUMENT, "amplifier %lld has no pixels", n);
    if (!inside(amp->raw_x, amp->width, raw_nx) || !inside(amp->raw_y, amp->height, raw_ny))
        return qk_fail(QK_BAD_ARGUMENT, "the data section of amplifier %lld leaves the raw frame of %lld x %lld", n,
                       (long long)raw_ny, (long long)raw_nx);
    if (!inside(amp->out_x, amp->width, nx) || !inside(amp->out_y, amp->height, ny))
        return qk_fail(QK_BAD_ARGUMENT, "amplifier %lld leaves the detector of %lld x %lld", n, (long long)ny, (long long)nx);
    if (overscan != QK_OVERSCAN_NONE &&
        (amp->overscan_width < 1 || !inside(amp->overscan_x, amp->overscan_width, raw_nx)))
        return qk_fail(QK_BAD_ARGUMENT, "amplifier %lld has no overscan inside the raw frame", n);
    if (!(amp->gain > 0) || !isfinite(amp->gain) || !(amp->read_noise >= 0) || !isfinite(amp->read_noise))
        return qk_fail(QK_BAD_ARGUMENT, "amplifier %lld has gain %g and read noise %g", n, amp->gain, amp->read_noise);
    if (amp->n_linearity < 0 || amp->n_linearity > QK_MAX_LINEARITY)
        return qk_fail(QK_BAD_ARGUMENT, "amplifier %lld has %d linearity coefficients", n, amp->n_linearity);
    return QK_OK;
}

/* How many of some counts are at most a value. */
QK_INLINE int64_t count_up_to(const uint16_t *raw, int64_t count, uint16_t value) {
    int64_t total = 0;
    for (int64_t from = 0; from < count; from += 32768) { /* the sum of a block fits 16 bits: more lanes */
        int64_t end = from + 32768 < count ? from + 32768 : count;
        uint16_t sum = 0;
        for (int64_t i = from; i < end; i++) sum += raw[i] <= value;
        total += sum;
    }
    return total;
}

/* Median of counts by bisection of their range: a handful of vector passes, no branch that the data decide. */
QK_CLONES static float median_counts(const uint16_t *raw, int64_t count) {
    uint16_t low = raw[0], high = raw[0];
    for (int64_t i = 1; i < count; i++) {
        low = raw[i] < low ? raw[i] : low;
        high = raw[i] > high ? raw[i] : high;
    }
    int64_t lower_rank = (count - 1) / 2;
    while (low < high) {
        uint16_t middle = (uint16_t)(low + (high - low) / 2);
        if (count_up_to(raw, count, middle) > lower_rank)
            high = middle;
        else
            low = (uint16_t)(middle + 1);
    }
    if (count & 1 || count_up_to(raw, count, low) > count / 2) return low;
    uint16_t upper = UINT16_MAX;
    for (int64_t i = 0; i < count; i++)
        if (raw[i] > low && raw[i] < upper) upper = raw[i];
    return 0.5f * ((float)low + (float)upper);
}

static bool overlap(const qk_amplifier *a, const qk_amplifier *b) {
    return a->out_x < b->out_x + b->width && b->out_x < a->out_x + a->width && a->out_y < b->out_y + b->height &&
           b->out_y < a->out_y + a->height;
}

/* Overscan level of every row of an amplifier. */
static void overscan_levels(const uint16_t *raw, int64_t raw_nx, const qk_amplifier *amp, int overscan, float *scratch,
                            float *levels) {
    if (overscan == QK_OVERSCAN_NONE) {
        memset(levels, 0, (size_t)amp->height * sizeof *levels);
        return;
    }
    for (int64_t row = 0; row < amp->height; row++)
        levels[row] = median_counts(raw + (amp->raw_y + row) * raw_nx + amp->overscan_x, amp->overscan_width);
    if (overscan == QK_OVERSCAN_AMPLIFIER_MEDIAN) {
        for (int64_t row = 0; row < amp->height; row++) scratch[row] = levels[row];
        float level = qk_median(scratch, amp->height);
        for (int64_t row = 0; row < amp->height; row++) levels[row] = level;
    }
}

/* Counts above overscan, linear, in electrons; and the planes that the raw counts alone decide. The variance is not
 * known yet: its row serves as scratch. */
QK_CLONES static void linear_row(const uint16_t *restrict raw, const qk_amplifier *restrict amp, float level,
                                 const int32_t *restrict defects, float *restrict image, float *restrict factor,
                                 int32_t *restrict mask) {
    int64_t width = amp->width;
    float saturation = amp->saturation, suspect = amp->suspect, gain = amp->gain;
    if (amp->flip_x)
        for (int64_t i = 0; i < width; i++) image[i] = raw[width - 1 - i];
    else
        for (int64_t i = 0; i < width; i++) image[i] = raw[i];
    for (int64_t i = 0; i < width; i++)
        mask[i] = (defects ? defects[i] : 0) | (image[i] >= saturation ? QK_SAT : 0) | (image[i] >= suspect ? QK_SUSPECT : 0);
    for (int64_t i = 0; i < width; i++) image[i] -= level;
    if (amp->n_linearity == 0) {
        for (int64_t i = 0; i < width; i++) image[i] *= gain;
        return;
    }
    for (int64_t i = 0; i < width; i++) factor[i] = 0;
    for (int32_t k = amp->n_linearity - 1; k >= 0; k--) {
        float coefficient = amp->linearity[k];
        for (int64_t i = 0; i < width; i++) factor[i] = (factor[i] + coefficient) * image[i];
    }
    for (int64_t i = 0; i < width; i++) image[i] = image[i] * (1.0f + factor[i]) * gain;
}

/* Calibrations, variance, and the plane BAD where they are of no use. */
QK_CLONES static void calibrated_row(const float *restrict bias, const float *restrict dark, const float *restrict flat,
                                     float dark_s, float read_variance, int64_t width, float *restrict image,
                                     float *restrict variance, int32_t *restrict mask) {
    if (bias)
        for (int64_t i = 0; i < width; i++) image[i] -= bias[i];
    if (dark)
        for (int64_t i = 0; i < width; i++) image[i] -= dark[i] * dark_s;
    for (int64_t i = 0; i < width; i++) variance[i] = (image[i] > 0 ? image[i] : 0) + read_variance;
    if (flat)
        for (int64_t i = 0; i < width; i++) {
            float response = flat[i] > 0 ? flat[i] : NAN;
            image[i] /= response;
            variance[i] /= response * response;
        }
    for (int64_t i = 0; i < width; i++) {
        bool good = fabsf(image[i]) < INFINITY && variance[i] < INFINITY;
        image[i] = good ? image[i] : NAN;
        variance[i] = good ? variance[i] : NAN;
        mask[i] |= good ? 0 : QK_BAD;
    }
}

/* The part of a detector's row that one amplifier read out. */
static void segment(const uint16_t *raw, int64_t raw_nx, const qk_amplifier *amp, const float *levels, const float *bias,
                    const float *dark, const float *flat, const int32_t *defects, float dark_s, int64_t nx, int64_t y,
                    float *image, float *variance, int32_t *mask) {
    int64_t row = amp->flip_y ? amp->out_y + amp->height - 1 - y : y - amp->out_y, to = y * nx + amp->out_x;
    linear_row(raw + (amp->raw_y + row) * raw_nx + amp->raw_x, amp, levels[row], defects ? defects + to : NULL, image + to,
               variance + to, mask + to);
    calibrated_row(bias ? bias + to : NULL, dark ? dark + to : NULL, flat ? flat + to : NULL, dark_s,
                   amp->read_noise * amp->read_noise, amp->width, image + to, variance + to, mask + to);
}

/* What the amplifiers do not cover, when they cannot cover everything. */
static void blank(int64_t pixels, float *image, float *variance, int32_t *mask) {
    for (int64_t i = 0; i < pixels; i++) {
        image[i] = variance[i] = NAN;
        mask[i] = QK_NO_DATA;
    }
}

int qk_isr(const uint16_t *raw, int64_t raw_ny, int64_t raw_nx, const qk_amplifier *amplifiers, int64_t n_amplifiers,
           int overscan, const float *bias, const float *dark, const float *flat, const int32_t *defects, float dark_s,
           int64_t ny, int64_t nx, float *image, float *variance, int32_t *mask) {
    if (qk_check_shape(ny, nx) || qk_check_shape(raw_ny, raw_nx)) return QK_BAD_ARGUMENT;
    if (overscan < QK_OVERSCAN_NONE || overscan > QK_OVERSCAN_AMPLIFIER_MEDIAN)
        return qk_fail(QK_BAD_ARGUMENT, "overscan method %d", overscan);
    if (!isfinite(dark_s) || dark_s < 0) return qk_fail(QK_BAD_ARGUMENT, "%g s of dark current", dark_s);
    int64_t tallest = 1, covered = 0, rows = 0;
    for (int64_t n = 0; n < n_amplifiers; n++) {
        const qk_amplifier *amp = amplifiers + n;
        if (check_amplifier(amp, n, overscan, raw_ny, raw_nx, ny, nx)) return QK_BAD_ARGUMENT;
        for (int64_t m = 0; m < n; m++)
            if (overlap(amp, amplifiers + m))
                return qk_fail(QK_BAD_ARGUMENT, "amplifiers %lld and %lld overlap on the detector", (long long)m, (long long)n);
        if (amp->height > tallest) tallest = amp->height;
        rows += amp->height;
        covered += (int64_t)amp->width * amp->height;
    }
    float *scratch = qk_scratch(tallest, sizeof *scratch);
    float *levels = qk_scratch(rows, sizeof *levels); /* of all rows of the first amplifier, then the second's, ... */
    int status = scratch && levels ? QK_OK : QK_LIMIT;
    if (status == QK_OK) {
        if (covered != ny * nx) blank(ny * nx, image, variance, mask);
        float *first = levels;
        for (int64_t n = 0; n < n_amplifiers; first += amplifiers[n++].height)
            overscan_levels(raw, raw_nx, amplifiers + n, overscan, scratch, first);
        /* Whole rows of the detector, so that the memory sees few and long streams. */
        for (int64_t y = 0; y < ny; y++) {
            first = levels;
            for (int64_t n = 0; n < n_amplifiers; first += amplifiers[n++].height) {
                const qk_amplifier *amp = amplifiers + n;
                if (y >= amp->out_y && y < amp->out_y + amp->height)
                    segment(raw, raw_nx, amp, first, bias, dark, flat, defects, dark_s, nx, y, image, variance, mask);
            }
        }
    }
    free(scratch);
    free(levels);
    return status;
}
