/* The PSF: samples times a polynomial of the position. Samples of one pixel are found by least squares from stars moved to
 * the middle of a pixel; finer ones in psf_samples.c. */
#include "psf.h"

int qk_check_psf(const qk_psf *psf) {
    if (psf->side < 3 || psf->side > QK_MAX_SIDE || psf->side % 2 == 0)
        return qk_fail(QK_BAD_ARGUMENT, "a PSF of %lld pixels; it is odd, 3 to %d", (long long)psf->side, QK_MAX_SIDE);
    if (psf->sampling < 1 || psf->sampling > QK_MAX_SAMPLING)
        return qk_fail(QK_BAD_ARGUMENT, "a PSF of %lld samples a pixel; 1 to %d", (long long)psf->sampling, QK_MAX_SAMPLING);
    if (psf->order < 0 || psf->order > QK_MAX_ORDER)
        return qk_fail(QK_BAD_ARGUMENT, "a PSF of order %lld; 0 to %d", (long long)psf->order, QK_MAX_ORDER);
    if (!(psf->scale_x > 0) || !(psf->scale_y > 0) || !isfinite(psf->x0 + psf->y0 + psf->scale_x + psf->scale_y))
        return qk_fail(QK_BAD_ARGUMENT, "a PSF that varies over %g x %g pixels", psf->scale_x, psf->scale_y);
    return QK_OK;
}

int64_t qk_psf_terms(const qk_psf *psf, double x, double y, double *terms) {
    double u = (x - psf->x0) / psf->scale_x, v = (y - psf->y0) / psf->scale_y, row = 1;
    int64_t n = 0;
    for (int64_t j = 0; j <= psf->order; j++, row *= v) {
        double value = row;
        for (int64_t i = 0; i + j <= psf->order; i++, value *= u) terms[n++] = value;
    }
    return n;
}

bool qk_psf_grid(const qk_psf *psf, double x, double y, double *grid) {
    double terms[QK_MAX_PSF_TERMS], sum = 0;
    int64_t n = qk_psf_terms(psf, x, y, terms), samples = qk_psf_samples(psf) * qk_psf_samples(psf);
    for (int64_t k = 0; k < samples; k++) grid[k] = 0;
    for (int64_t t = 0; t < n; t++)
        for (int64_t k = 0; k < samples; k++) grid[k] += terms[t] * psf->coefficients[t * samples + k];
    for (int64_t k = 0; k < samples; k++) sum += grid[k];
    sum /= (double)(psf->sampling * psf->sampling);
    if (!(sum > 0) || !isfinite(sum)) return false;
    for (int64_t k = 0; k < samples; k++) grid[k] /= sum;
    return true;
}

void qk_lagrange(double part, double *weight, double *slope) {
    for (int k = 0; k < QK_TAPS; k++) {
        double value = 1, derivative = 0;
        for (int m = 0; m < QK_TAPS; m++) {
            if (m == k) continue;
            double t = part + QK_TAPS / 2 - 1 - m, product = 1;
            for (int j = 0; j < QK_TAPS; j++)
                if (j != k && j != m) product *= (part + QK_TAPS / 2 - 1 - j) / (k - j);
            value *= t / (k - m);
            derivative += product / (k - m);
        }
        weight[k] = value;
        if (slope) slope[k] = derivative;
    }
}

/* out[i] += weight * in[i] */
QK_CLONES static void add_scaled(const double *restrict in, double weight, int64_t n, double *restrict out) {
    for (int64_t i = 0; i < n; i++) out[i] += weight * in[i];
}

/* out[i] += weight * in[step * i] */
static void add_every(const double *restrict in, int64_t step, double weight, int64_t n, double *restrict out) {
    if (step == 1)
        add_scaled(in, weight, n, out);
    else
        for (int64_t i = 0; i < n; i++) out[i] += weight * in[step * i];
}

/* The pixels of an axis that a tap has a sample for: of pixel i it is step * i + shift, one of so many. */
typedef struct {
    int64_t shift, from, to; /* up to, without, to */
} reach;

static reach reach_of(const qk_psf *psf, int64_t shift) {
    int64_t step = psf->sampling, samples = qk_psf_samples(psf);
    reach r = {shift, shift < 0 ? (step - 1 - shift) / step : 0, shift < samples ? (samples - 1 - shift) / step + 1 : 0};
    if (r.to > psf->side) r.to = psf->side;
    return r;
}

/* Every row of the grid becomes the weighted sums that are its pixels: samples x side. */
static void move_columns(const qk_psf *psf, const double *grid, int64_t first, const double *weight, double *out) {
    int64_t samples = qk_psf_samples(psf), side = psf->side, step = psf->sampling;
    reach taps[QK_TAPS];
    for (int64_t k = 0; k < QK_TAPS; k++) taps[k] = reach_of(psf, first + k);
    memset(out, 0, (size_t)(samples * side) * sizeof *out);
    for (int64_t y = 0; y < samples; y++)
        for (int64_t k = 0; k < QK_TAPS; k++) {
            reach r = taps[k];
            if (r.to > r.from)
                add_every(grid + y * samples + step * r.from + r.shift, step, weight[k], r.to - r.from, out + y * side + r.from);
        }
}

/* The same of every column: side x side. */
static void move_rows(const qk_psf *psf, const double *grid, int64_t first, const double *weight, double *out) {
    int64_t side = psf->side, step = psf->sampling;
    memset(out, 0, (size_t)(side * side) * sizeof *out);
    for (int64_t k = 0; k < QK_TAPS; k++) {
        reach r = reach_of(psf, first + k);
        if (step == 1 && r.to > r.from)
            add_scaled(grid + (r.from + r.shift) * side, weight[k], (r.to - r.from) * side, out + r.from * side);
        else
            for (int64_t i = r.from; i < r.to; i++) add_scaled(grid + (step * i + r.shift) * side, weight[k], side, out + i * side);
    }
}

qk_taps qk_psf_taps(const qk_psf *psf, double shift, bool slopes) {
    qk_taps taps;
    double place = -shift * (double)psf->sampling, whole = floor(place); /* the moved grid at i is the grid at i - shift */
    qk_lagrange(place - whole, taps.weight, slopes ? taps.slope : NULL);
    if (slopes)
        for (int k = 0; k < QK_TAPS; k++) taps.slope[k] *= -(double)psf->sampling;
    taps.first = (int64_t)whole - (QK_TAPS / 2 - 1) + qk_psf_samples(psf) / 2 - psf->sampling * (psf->side / 2);
    return taps;
}

void qk_psf_shift(const qk_psf *psf, const double *grid, double dx, double dy, double *value, double *by_dx, double *by_dy,
                  double *scratch) {
    qk_taps x = qk_psf_taps(psf, dx, by_dx != NULL), y = qk_psf_taps(psf, dy, by_dx != NULL);
    double *moved = scratch, *sloped = scratch + qk_psf_samples(psf) * psf->side;
    move_columns(psf, grid, x.first, x.weight, moved);
    move_rows(psf, moved, y.first, y.weight, value);
    if (!by_dx) return;
    move_columns(psf, grid, x.first, x.slope, sloped);
    move_rows(psf, sloped, y.first, y.weight, by_dx);
    move_rows(psf, moved, y.first, y.slope, by_dy);
}

int qk_psf_draw(const qk_psf *psf, const double *x, const double *y, const double *dx, const double *dy, int64_t n, double *out) {
    if (qk_check_psf(psf)) return QK_BAD_ARGUMENT;
    int64_t pixels = psf->side * psf->side, samples = qk_psf_samples(psf);
    double *grid = qk_scratch(samples * (samples + 2 * psf->side), sizeof *grid);
    if (!grid) return QK_LIMIT;
    for (int64_t i = 0; i < n; i++) {
        double *to = out + i * pixels;
        if (isfinite(x[i]) && isfinite(y[i]) && fabs(dx[i]) <= 0.5 && fabs(dy[i]) <= 0.5 && qk_psf_grid(psf, x[i], y[i], grid))
            qk_psf_shift(psf, grid, dx[i], dy[i], to, NULL, NULL, grid + samples * samples);
        else
            for (int64_t k = 0; k < pixels; k++) to[k] = NAN;
    }
    free(grid);
    return QK_OK;
}

/* A star's pixels around its middle, scaled to flux 1; weights are inverse variances, 0 for unusable. */
typedef struct {
    double *value, *weight; /* side x side */
} stamp;

/* Scratch of moving one star; hole is 1 where `wide` holds a value that stands for a pixel that does not count. */
typedef struct {
    double *wide, *hole, *rows, *grid, *model, *shift;
} bench;

/* Light that a pixel of the star shows: with a previous model, what is left of the image and the star's own model. A
 * pixel that does not count shows the model, without one what fills it in every measurement. */
static void cut_out(const qk_frame *f, const qk_psf *before, double x0, double y0, int64_t px, int64_t py, int64_t half,
                    double flux, int32_t segment, const bench *b) {
    int64_t wide = 2 * half + 1, margin = before ? half - before->side / 2 : 0;
    for (int64_t j = 0; j < wide; j++)
        for (int64_t i = 0; i < wide; i++) {
            qk_light pixel = qk_light_at(f, x0, y0, px - half + i, py - half + j, segment);
            double *to = b->wide + j * wide + i;
            b->hole[j * wide + i] = pixel.flags != 0;
            *to = before && pixel.flags ? 0 : pixel.value;
            int64_t u = i - margin, v = j - margin;
            if (before && u >= 0 && v >= 0 && u < before->side && v < before->side) *to += flux * b->model[v * before->side + u];
        }
}

/* The variance of a star's pixel, `light` of it the star's; what is left of the image is that of the star's model. */
static double variance_of(const qk_frame *f, int64_t at, bool modelled, double light, double softening) {
    double per_unit = f->variance && f->gain > 0 ? 1 / f->gain : 0;
    double noise = qk_variance_with(f, at, modelled ? f->image[at] : 0, per_unit);
    if (light < 0) light = 0;
    if (!f->variance && f->gain > 0) noise += light / f->gain;
    return noise + softening * softening * light * light;
}

/* Move a star to the middle of the grid. Pixels whose four nearest samples are not all usable get no weight. */
static void move_star(const qk_frame *f, const qk_psf *psf, const qk_psf *before, double x, double y, double flux,
                      int32_t segment, double softening, const bench *b, stamp *out) {
    int64_t side = psf->side, half = side / 2 + QK_TAPS / 2, wide = 2 * half + 1;
    double px = floor(x), py = floor(y), wx[QK_TAPS], wy[QK_TAPS];
    bool modelled = before && qk_psf_grid(before, x, y, b->grid);
    if (modelled) { /* the model stands around the nearest pixel, the samples around the one below */
        double nx = rint(x), ny = rint(y);
        px = nx;
        py = ny;
        qk_psf_shift(before, b->grid, x - nx, y - ny, b->model, NULL, NULL, b->shift);
    }
    cut_out(f, modelled ? before : NULL, x, y, (int64_t)px, (int64_t)py, half, flux, segment, b);
    double whole_x = floor(x - px), whole_y = floor(y - py); /* 0 or -1 */
    qk_lagrange(x - px - whole_x, wx, NULL);
    qk_lagrange(y - py - whole_y, wy, NULL);
    /* grid pixel i is sample i + half - side / 2 plus the part of a pixel; tap k stands k - 3 beyond it */
    int64_t first_x = half - side / 2 + (int64_t)whole_x - (QK_TAPS / 2 - 1);
    int64_t first_y = half - side / 2 + (int64_t)whole_y - (QK_TAPS / 2 - 1);
    for (int64_t j = 0; j < wide; j++)
        for (int64_t i = 0; i < side; i++) {
            double sum = 0;
            for (int64_t k = 0; k < QK_TAPS; k++) sum += wx[k] * b->wide[j * wide + i + first_x + k];
            b->rows[j * side + i] = sum;
        }
    for (int64_t j = 0; j < side; j++)
        for (int64_t i = 0; i < side; i++) {
            double sum = 0, noise = 0;
            bool usable = true;
            for (int64_t k = 0; k < QK_TAPS; k++) sum += wy[k] * b->rows[(j + first_y + k) * side + i];
            for (int64_t v = 3; v <= 4; v++)
                for (int64_t u = 3; u <= 4; u++) usable &= b->hole[(j + first_y + v) * wide + i + first_x + u] == 0;
            if (usable) {
                int64_t cx = (int64_t)px - half + i + first_x + 3, cy = (int64_t)py - half + j + first_y + 3;
                noise = variance_of(f, cy * f->nx + cx, modelled, modelled ? flux * b->grid[j * side + i] : sum, softening);
            }
            out->value[j * side + i] = sum / flux;
            out->weight[j * side + i] = usable && noise > 0 ? flux * flux / noise : 0;
        }
}

/* A star's pixels where they are, around the nearest to its middle. */
static void read_star(const qk_frame *f, const qk_psf *psf, const qk_psf *before, double x, double y, double flux,
                      int32_t segment, double softening, const bench *b, stamp *out) {
    double nx = rint(x), ny = rint(y);
    bool modelled = before && qk_psf_grid(before, x, y, b->grid);
    if (modelled) qk_psf_shift(before, b->grid, x - nx, y - ny, b->model, NULL, NULL, b->shift);
    for (int64_t j = 0; j < psf->side; j++)
        for (int64_t i = 0; i < psf->side; i++) {
            int64_t at, k = j * psf->side + i;
            out->value[k] = out->weight[k] = 0;
            if (!qk_seen(f, (int64_t)nx - psf->side / 2 + i, (int64_t)ny - psf->side / 2 + j, segment, &at)) continue;
            double light = f->image[at];
            if (modelled) light += flux * b->model[k];
            double noise = variance_of(f, at, modelled, modelled ? flux * b->model[k] : light, softening);
            out->value[k] = light / flux;
            out->weight[k] = noise > 0 ? flux * flux / noise : 0;
        }
}

/* Coefficients of one pixel of the grid from all stars; fewer terms when the stars do not determine all. */
static void fit_pixel(const double *terms, int64_t n_terms, const stamp *stars, int64_t n, int64_t pixel, int64_t pixels,
                      double *coefficients) {
    double a[QK_MAX_PSF_TERMS * QK_MAX_PSF_TERMS], b[QK_MAX_PSF_TERMS];
    for (int64_t used = n_terms;; used = 1) {
        memset(a, 0, sizeof a);
        memset(b, 0, sizeof b);
        for (int64_t s = 0; s < n; s++) {
            double weight = stars[s].weight[pixel], value = stars[s].value[pixel];
            const double *t = terms + s * n_terms;
            for (int64_t i = 0; i < used; i++) {
                b[i] += weight * t[i] * value;
                for (int64_t j = 0; j <= i; j++) a[i * used + j] += weight * t[i] * t[j];
            }
        }
        bool solved = qk_cholesky_solve(a, b, (int)used);
        for (int64_t i = 0; i < n_terms; i++) coefficients[i * pixels + pixel] = solved && i < used ? b[i] : 0;
        if (solved || used == 1) return;
    }
}

static void solve(const qk_psf *psf, const double *x, const double *y, const stamp *stars, int64_t n, double *terms,
                  double *coefficients) {
    int64_t n_terms = (psf->order + 1) * (psf->order + 2) / 2, pixels = psf->side * psf->side;
    for (int64_t s = 0; s < n; s++) qk_psf_terms(psf, x[s], y[s], terms + s * n_terms);
    for (int64_t k = 0; k < pixels; k++) fit_pixel(terms, n_terms, stars, n, k, pixels, coefficients);
}

int qk_psf_fit(const qk_frame *frame, const double *x, const double *y, const double *flux, const int32_t *segment, int64_t n,
               double softening, const qk_psf *before, const qk_psf *psf, double *coefficients) {
    if (qk_check_frame(frame) || qk_check_psf(psf) || (before && qk_check_psf(before))) return QK_BAD_ARGUMENT;
    if (before && (before->side != psf->side || before->sampling != psf->sampling))
        return qk_fail(QK_BAD_ARGUMENT, "the model before has another size");
    int64_t n_terms = (psf->order + 1) * (psf->order + 2) / 2, pixels = psf->side * psf->side, samples = qk_psf_samples(psf);
    int64_t wide = psf->side + QK_TAPS + 1;
    if (n < n_terms)
        return qk_fail(QK_NO_FIT, "%lld stars for a PSF of order %lld, which needs %lld", (long long)n,
                       (long long)psf->order, (long long)n_terms);
    for (int64_t i = 0; i < n; i++)
        if (!(flux[i] > 0) || !(x[i] > -0.5 && x[i] < (double)frame->nx - 0.5) || !(y[i] > -0.5 && y[i] < (double)frame->ny - 0.5))
            return qk_fail(QK_BAD_ARGUMENT, "star %lld of flux %g at (%g, %g)", (long long)i, flux[i], x[i], y[i]);
    int64_t for_bench = 3 * wide * wide + samples * (samples + 2 * psf->side) + pixels;
    double *memory = qk_scratch(n * (2 * pixels + n_terms) + for_bench, sizeof *memory);
    stamp *stars = qk_scratch(n, sizeof *stars);
    qk_psf_star *read = qk_scratch(n, sizeof *read);
    int status = memory && stars && read ? QK_OK : QK_LIMIT;
    if (status == QK_OK) {
        double *next = memory;
        bench b;
        b.wide = next, next += wide * wide;
        b.hole = next, next += wide * wide;
        b.rows = next, next += wide * wide;
        b.grid = next, next += samples * samples;
        b.model = next, next += pixels;
        b.shift = next, next += 2 * samples * psf->side;
        for (int64_t i = 0; i < n; i++, next += 2 * pixels) {
            stars[i] = (stamp){next, next + pixels};
            read[i] = (qk_psf_star){next, next + pixels, x[i], y[i]};
            (psf->sampling > 1 ? read_star : move_star)(frame, psf, before, x[i], y[i], flux[i], segment ? segment[i] : 0, softening,
                                                        &b, stars + i);
        }
        if (psf->sampling > 1)
            status = qk_psf_solve_samples(psf, before, read, n, coefficients);
        else
            solve(psf, x, y, stars, n, next, coefficients);
    }
    free(memory);
    free(stars);
    free(read);
    return status;
}
