/* What the kernels share: status and words, scratch memory with a bound, clones for wider registers. */
#ifndef QSERV_KERNELS_INTERNAL_H
#define QSERV_KERNELS_INTERNAL_H
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define QK_MAX_SCRATCH ((size_t)1 << 32) /* bytes of one allocation */
#define QK_MAX_PIXELS ((int64_t)1 << 29) /* of an image; labels and pixel numbers fit int32 */

/* Hot loops are compiled twice, for AVX2 and for any x86-64, and chosen when the library is loaded. The sanitizers
 * cannot run such resolvers, other systems have none. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define QK_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define QK_CLONES
#endif
#define QK_INLINE static inline __attribute__((always_inline))

/* Write the words of qk_detail(), return the status. */
int qk_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Scratch memory of count elements of size bytes, not cleared; NULL (and the words) beyond the bound or the memory. */
void *qk_scratch(int64_t count, size_t size);

/* Return QK_OK when ny x nx is an image that the kernels take. */
int qk_check_shape(int64_t ny, int64_t nx);

/* Whether a pixel can be used; mask may be NULL. */
QK_INLINE bool qk_usable(float value, const int32_t *mask, int64_t at, int32_t bad) {
    return isfinite(value) && !(mask && (mask[at] & bad));
}

/* k-th smallest of n values, which are reordered: Hoare's quickselect. */
float qk_select(float *values, int64_t n, int64_t k);

/* Median of n values, which are reordered: the mean of the two middle ones when n is even; NaN when n is 0. */
float qk_median(float *values, int64_t n);

/* Solve the symmetric positive definite system a x = b of n unknowns in place (Cholesky); false if it is not one. */
bool qk_cholesky_solve(double *a, double *b, int n);

#endif
