/* Status and words, scratch memory, medians, small linear systems. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char words[256];

const char *qk_detail(void) { return words; }

int qk_fail(int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    return status;
}

void *qk_scratch(int64_t count, size_t size) {
    void *memory = NULL;
    if (count >= 0 && (uint64_t)count <= QK_MAX_SCRATCH / size) memory = malloc(count ? (size_t)count * size : 1);
    if (!memory) qk_fail(QK_LIMIT, "no memory for %lld elements of %zu bytes", (long long)count, size);
    return memory;
}

int qk_check_shape(int64_t ny, int64_t nx) {
    if (ny < 1 || nx < 1 || ny > QK_MAX_PIXELS / nx)
        return qk_fail(QK_BAD_ARGUMENT, "an image of %lld x %lld pixels; from 1 to 2^29 pixels are possible",
                       (long long)ny, (long long)nx);
    return QK_OK;
}

float qk_select(float *values, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        float pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i <= j) {
                float swap = values[i];
                values[i++] = values[j];
                values[j--] = swap;
            }
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return values[k];
}

float qk_median(float *values, int64_t n) {
    if (n < 1) return NAN;
    float upper = qk_select(values, n, n / 2);
    if (n & 1) return upper;
    float lower = values[0]; /* the selection left everything below the middle on its left */
    for (int64_t i = 1; i < n / 2; i++)
        if (values[i] > lower) lower = values[i];
    return 0.5f * (lower + upper);
}

bool qk_cholesky_solve(double *a, double *b, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i != j)
                a[i * n + j] = sum / a[j * n + j];
            else if (sum > 1e-14 * fabs(a[i * n + i]))
                a[i * n + i] = sqrt(sum);
            else
                return false;
        }
    }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}
