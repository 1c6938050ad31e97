/* The PSF in samples finer than pixels, for images that are undersampled: least squares of the pixels of all stars together.
 *
 * A pixel of a star is a weighted sum of 8 x 8 samples, and stars stand at any part of a pixel, so together they see between
 * pixels. The samples of all terms are one linear system, too large to be solved but by conjugate gradients. The terms are made
 * orthogonal over the stars first, or the gradients would need many more rounds. What few stars do not determine is smooth. */
#include "psf.h"

enum { MOST_ROUNDS = 60 };
static const double SETTLED = 3e-4;       /* of the first residual */
static const double CORE = 4;             /* samples: about a FWHM, which holds three to five */
static const double ROUGHNESS = 1e-5;     /* weight of a squared fourth difference in the middle, of that of a sample's pixels, */
static const double MOST_ROUGHNESS = 1;   /* and the greatest */

/* The linear system: what the stars say of the samples. */
typedef struct {
    const qk_psf *psf;
    const qk_psf_star *stars;
    int64_t n, n_terms, samples;
    double *terms;                /* n x n_terms, orthogonal */
    double *grid, *part, *pixels; /* scratch: samples x samples, samples x side, side x side */
    double roughness;
} system_of_stars;

static double nearest_part(double at) { return at - rint(at); }

/* Factor the weighted products of the terms over all stars, L L^T, in the lower half of `factor`, and make the terms
 * orthogonal: L^-1 times them. False where the stars do not determine all terms. */
static bool make_orthogonal(const system_of_stars *s, double *factor) {
    int64_t n_terms = s->n_terms, pixels = s->psf->side * s->psf->side;
    memset(factor, 0, (size_t)(n_terms * n_terms) * sizeof *factor);
    for (int64_t star = 0; star < s->n; star++) {
        double weight = 0, *t = s->terms + star * n_terms;
        for (int64_t k = 0; k < pixels; k++) weight += s->stars[star].weight[k];
        for (int64_t i = 0; i < n_terms; i++)
            for (int64_t j = 0; j <= i; j++) factor[i * n_terms + j] += weight * t[i] * t[j];
    }
    double unused[QK_MAX_PSF_TERMS] = {0};
    if (!qk_cholesky_solve(factor, unused, (int)n_terms)) return false;
    for (int64_t star = 0; star < s->n; star++)
        for (int64_t i = 0; i < n_terms; i++) {
            double *t = s->terms + star * n_terms;
            for (int64_t k = 0; k < i; k++) t[i] -= factor[i * n_terms + k] * t[k];
            t[i] /= factor[i * n_terms + i];
        }
    return true;
}

/* Coefficients of the orthogonal terms from those of powers, L^T times them, or back. */
static void change_terms(const double *factor, int64_t n_terms, int64_t samples, bool back, double *c) {
    for (int64_t k = 0; k < samples; k++)
        if (back)
            for (int64_t i = n_terms - 1; i >= 0; i--) {
                for (int64_t j = i + 1; j < n_terms; j++) c[i * samples + k] -= factor[j * n_terms + i] * c[j * samples + k];
                c[i * samples + k] /= factor[i * n_terms + i];
            }
        else
            for (int64_t i = 0; i < n_terms; i++) {
                double sum = 0;
                for (int64_t j = i; j < n_terms; j++) sum += factor[j * n_terms + i] * c[j * samples + k];
                c[i * samples + k] = sum;
            }
}

/* out[step * i] += weight * in[i] */
static void add_apart(const double *restrict in, double weight, int64_t n, int64_t step, double *restrict out) {
    for (int64_t i = 0; i < n; i++) out[step * i] += weight * in[i];
}

/* The transpose of moving: pixels back onto the samples that they are sums of. squared: of the squares of the weights. */
static void pixels_to_grid(const system_of_stars *s, const qk_taps *x, const qk_taps *y, bool squared) {
    int64_t samples = s->samples, side = s->psf->side, step = s->psf->sampling;
    memset(s->part, 0, (size_t)(samples * side) * sizeof *s->part);
    memset(s->grid, 0, (size_t)(samples * samples) * sizeof *s->grid);
    for (int64_t i = 0; i < side; i++)
        for (int64_t k = 0; k < QK_TAPS; k++) {
            int64_t to = step * i + y->first + k;
            double weight = squared ? y->weight[k] * y->weight[k] : y->weight[k];
            if (to >= 0 && to < samples) add_apart(s->pixels + i * side, weight, side, 1, s->part + to * side);
        }
    for (int64_t row = 0; row < samples; row++)
        for (int64_t k = 0; k < QK_TAPS; k++) {
            int64_t shift = x->first + k, from = shift < 0 ? (step - 1 - shift) / step : 0;
            int64_t to = shift < samples ? (samples - 1 - shift) / step + 1 : 0;
            if (to > side) to = side;
            double weight = squared ? x->weight[k] * x->weight[k] : x->weight[k];
            if (to > from) add_apart(s->part + row * side + from, weight, to - from, step, s->grid + row * samples + step * from + shift);
        }
}

/* Add the grid to the coefficients of all terms of a star; with their squares for the diagonal. */
static void grid_to_terms(const system_of_stars *s, int64_t star, bool squared, double *out) {
    int64_t samples = s->samples * s->samples;
    for (int64_t t = 0; t < s->n_terms; t++) {
        double term = s->terms[star * s->n_terms + t];
        add_apart(s->grid, squared ? term * term : term, samples, 1, out + t * samples);
    }
}

/* What one star's pixels say of all samples, added to `out`: the weighted pixels of the model with some coefficients, without
 * any the star's own, or (squared) the diagonal of the system. */
static void add_star(const system_of_stars *s, int64_t star, const double *c, bool squared, double *out) {
    const qk_psf_star *of = s->stars + star;
    int64_t samples = s->samples * s->samples, pixels = s->psf->side * s->psf->side;
    double dx = nearest_part(of->x), dy = nearest_part(of->y);
    if (c) {
        memset(s->grid, 0, (size_t)samples * sizeof *s->grid);
        for (int64_t t = 0; t < s->n_terms; t++) add_apart(c + t * samples, s->terms[star * s->n_terms + t], samples, 1, s->grid);
        qk_psf_shift(s->psf, s->grid, dx, dy, s->pixels, NULL, NULL, s->part);
    }
    for (int64_t k = 0; k < pixels; k++) s->pixels[k] = of->weight[k] * (c ? s->pixels[k] : squared ? 1 : of->value[k]);
    qk_taps x = qk_psf_taps(s->psf, dx, false), y = qk_psf_taps(s->psf, dy, false);
    pixels_to_grid(s, &x, &y, squared);
    grid_to_terms(s, star, squared, out);
}

/* Weight of the fourth difference around a sample, its distance from the middle given in samples: what is as rough in units of
 * the PSF's light there is as unlikely. */
static double weight_of_roughness(const system_of_stars *s, double i, double j) {
    double middle = (double)(s->samples / 2), square = ((i - middle) * (i - middle) + (j - middle) * (j - middle)) / (CORE * CORE);
    double weight = ROUGHNESS * (1 + square) * (1 + square) * (1 + square) * (1 + square);
    return s->roughness * (weight < MOST_ROUGHNESS ? weight : MOST_ROUGHNESS);
}

/* Add the gradient of squared fourth differences along both axes; c NULL for its diagonal. */
static void add_roughness(const system_of_stars *s, const double *c, double *out) {
    static const double difference[5] = {1, -4, 6, -4, 1};
    int64_t n = s->samples;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i + 4 < n; i++) {
            double sum[2] = {0, 0}, weight = weight_of_roughness(s, (double)(i + 2), (double)j);
            int64_t at[2] = {j * n + i, i * n + j}, step[2] = {1, n};
            for (int axis = 0; axis < 2; axis++) {
                for (int64_t k = 0; c && k < 5; k++) sum[axis] += difference[k] * c[at[axis] + k * step[axis]];
                for (int64_t k = 0; k < 5; k++) out[at[axis] + k * step[axis]] += weight * difference[k] * (c ? sum[axis] : difference[k]);
            }
        }
}

static void multiply(const system_of_stars *s, const double *c, double *out) {
    int64_t samples = s->samples * s->samples;
    memset(out, 0, (size_t)(s->n_terms * samples) * sizeof *out);
    for (int64_t star = 0; star < s->n; star++) add_star(s, star, c, false, out);
    for (int64_t t = 0; t < s->n_terms; t++) add_roughness(s, c + t * samples, out + t * samples);
}

static double product(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Conjugate gradients from where c stands; memory holds five vectors: the diagonal and four of scratch. */
static void solve(const system_of_stars *s, double *memory, double *c) {
    int64_t n = s->n_terms * s->samples * s->samples;
    double *diagonal = memory, *rest = memory + n, *scaled = memory + 2 * n, *way = memory + 3 * n, *image = memory + 4 * n;
    memset(rest, 0, (size_t)n * sizeof *rest);
    for (int64_t star = 0; star < s->n; star++) add_star(s, star, NULL, false, rest);
    double scale = 0;
    for (int64_t i = 0; i < n; i++) scale += rest[i] * rest[i] / diagonal[i];
    multiply(s, c, image);
    for (int64_t i = 0; i < n; i++) rest[i] -= image[i];
    double before = 0;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        for (int64_t i = 0; i < n; i++) scaled[i] = rest[i] / diagonal[i];
        double now = product(rest, scaled, n);
        if (!(now > SETTLED * SETTLED * scale)) return;
        for (int64_t i = 0; i < n; i++) way[i] = scaled[i] + (round ? now / before * way[i] : 0);
        multiply(s, way, image);
        double length = now / product(way, image, n);
        for (int64_t i = 0; i < n; i++) {
            c[i] += length * way[i];
            rest[i] -= length * image[i];
        }
        before = now;
    }
}

/* Set the diagonal of the system, and by its mean the weight of roughness. */
static void set_diagonal(system_of_stars *s, double *diagonal) {
    int64_t n = s->n_terms * s->samples * s->samples;
    double mean = 0;
    memset(diagonal, 0, (size_t)n * sizeof *diagonal);
    for (int64_t star = 0; star < s->n; star++) add_star(s, star, NULL, true, diagonal);
    for (int64_t i = 0; i < n; i++) mean += diagonal[i] / (double)n;
    s->roughness = mean;
    for (int64_t t = 0; t < s->n_terms; t++) add_roughness(s, NULL, diagonal + t * s->samples * s->samples);
}

int qk_psf_solve_samples(const qk_psf *psf, const qk_psf *before, const qk_psf_star *stars, int64_t n, double *coefficients) {
    int64_t n_terms = (psf->order + 1) * (psf->order + 2) / 2, side = qk_psf_samples(psf), samples = side * side;
    int64_t pixels = psf->side * psf->side, all = n_terms * samples;
    double *memory = qk_scratch(5 * all + samples + 2 * side * psf->side + pixels + n * n_terms, sizeof *memory);
    if (!memory) return QK_LIMIT;
    double *next = memory + 5 * all, factor[QK_MAX_PSF_TERMS * QK_MAX_PSF_TERMS];
    system_of_stars s = {psf, stars, n, n_terms, side, NULL, next, next + samples, next + samples + 2 * side * psf->side, 0};
    s.terms = s.pixels + pixels;
    for (int64_t star = 0; star < n; star++) qk_psf_terms(psf, stars[star].x, stars[star].y, s.terms + star * n_terms);
    memset(coefficients, 0, (size_t)all * sizeof *coefficients);
    if (!make_orthogonal(&s, factor)) { /* the same everywhere */
        s.n_terms = n_terms = 1;
        for (int64_t star = 0; star < n; star++) s.terms[star] = 1;
        if (!make_orthogonal(&s, factor)) {
            free(memory);
            return QK_OK;
        }
    }
    set_diagonal(&s, memory);
    if (before && before->order == psf->order && n_terms * samples == all) {
        memcpy(coefficients, before->coefficients, (size_t)all * sizeof *coefficients);
        change_terms(factor, n_terms, samples, false, coefficients);
    }
    if (s.roughness > 0) solve(&s, memory, coefficients);
    change_terms(factor, n_terms, samples, true, coefficients);
    free(memory);
    return QK_OK;
}
