/* Matched filter: an image convolved with a sum of separable kernels, in units of the noise of the result.
 *
 * Rows stream through a ring of horizontally convolved rows, so the image is read once and written once. */
#include "internal.h"

enum { LANES = 8, BLOCK = 4 * LANES };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static int64_t padded(int64_t n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

/* The row with zeros where there is nothing to see; the caller left zeros on both sides. */
QK_CLONES static void load_row(const float *restrict image, const int32_t *restrict mask, int32_t bad, int64_t nx,
                               float *restrict row) {
    for (int64_t i = 0; i < nx; i++) row[i] = fabsf(image[i]) < INFINITY ? image[i] : 0;
    if (mask)
        for (int64_t i = 0; i < nx; i++) row[i] = (mask[i] & bad) && !(mask[i] & QK_INTRP) ? 0 : row[i];
}

/* out[x] = sum of weight[k] * from[k][x]: one block of pixels at a time, its sums in registers. */
QK_CLONES static void weighted_sum(const float *const *from, const float *weight, int64_t n, int64_t length, float *out) {
    for (int64_t x = 0; x < length; x += BLOCK) {
        lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        for (int64_t k = 0; k < n; k++) {
            const lanes *restrict at = (const lanes *)(from[k] + x);
            float w = weight[k];
            s0 += at[0] * w;
            s1 += at[1] * w;
            s2 += at[2] * w;
            s3 += at[3] * w;
        }
        lanes *to = (lanes *)(out + x);
        to[0] = s0;
        to[1] = s1;
        to[2] = s2;
        to[3] = s3;
    }
}

QK_CLONES static void in_noise(const float *restrict sum, const float *restrict noise, float scale, int64_t nx,
                               float *restrict out) {
    if (noise)
        for (int64_t i = 0; i < nx; i++) out[i] = noise[i] > 0 && noise[i] < INFINITY ? sum[i] * scale / noise[i] : 0;
    else
        for (int64_t i = 0; i < nx; i++) out[i] = sum[i] * scale;
    for (int64_t i = 0; i < nx; i++) out[i] = fabsf(out[i]) < INFINITY ? out[i] : 0;
}

/* Root of the sum of squares of the kernel that the terms add up to. */
static double kernel_norm(const float *kernel_y, const float *kernel_x, int64_t terms, int64_t side) {
    double square = 0;
    for (int64_t j = 0; j < side; j++)
        for (int64_t i = 0; i < side; i++) {
            double value = 0;
            for (int64_t t = 0; t < terms; t++) value += (double)kernel_y[t * side + j] * kernel_x[t * side + i];
            square += value * value;
        }
    return sqrt(square);
}

int qk_significance(const float *image, const int32_t *mask, int32_t bad, const float *noise, double noise_everywhere,
                    int64_t ny, int64_t nx, const float *kernel_y, const float *kernel_x, int64_t terms, int64_t side,
                    float *out) {
    if (qk_check_shape(ny, nx)) return QK_BAD_ARGUMENT;
    if (terms < 1 || terms > QK_MAX_TERMS || side < 1 || side > QK_MAX_SIDE || side % 2 == 0)
        return qk_fail(QK_BAD_ARGUMENT, "a kernel of %lld terms and %lld pixels", (long long)terms, (long long)side);
    double norm = kernel_norm(kernel_y, kernel_x, terms, side);
    if (!(norm > 0) || !isfinite(norm)) return qk_fail(QK_BAD_ARGUMENT, "the kernel is empty or not finite");
    if (!noise && !(noise_everywhere > 0 && isfinite(noise_everywhere)))
        return qk_fail(QK_BAD_ARGUMENT, "a noise of %g", noise_everywhere);
    float scale = (float)(noise ? 1 / norm : 1 / (norm * noise_everywhere));
    int64_t radius = side / 2, width = padded(nx), wide = width + side;
    float *row = qk_scratch(wide + width, sizeof *row);
    float *ring = qk_scratch(terms * side * width, sizeof *ring);
    if (!row || !ring) {
        free(row);
        free(ring);
        return QK_LIMIT;
    }
    float *sum = row + wide;
    const float *from[QK_MAX_TERMS * QK_MAX_SIDE];
    memset(row, 0, (size_t)wide * sizeof *row);
    memset(ring, 0, (size_t)(terms * side * width) * sizeof *ring);
    for (int64_t y = 0; y < ny + radius; y++) {
        int64_t slot = y % side;
        if (y < ny) load_row(image + y * nx, mask ? mask + y * nx : NULL, bad, nx, row + radius);
        for (int64_t t = 0; t < terms; t++) {
            float *to = ring + (t * side + slot) * width;
            if (y >= ny) {
                memset(to, 0, (size_t)width * sizeof *to);
                continue;
            }
            for (int64_t k = 0; k < side; k++) from[k] = row + k;
            weighted_sum(from, kernel_x + t * side, side, width, to);
        }
        int64_t at = y - radius;
        if (at < 0) continue;
        for (int64_t t = 0; t < terms; t++) /* rows that are not there yet, before the first, are still zero */
            for (int64_t k = 0; k < side; k++) from[t * side + k] = ring + (t * side + (at - radius + k + side) % side) * width;
        weighted_sum(from, kernel_y, terms * side, width, sum);
        in_noise(sum, noise ? noise + at * nx : NULL, scale, nx, out + at * nx);
    }
    free(row);
    free(ring);
    return QK_OK;
}
