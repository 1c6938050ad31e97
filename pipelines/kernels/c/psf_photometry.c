/* PSF photometry of all sources: flux and position by weighted least squares, neighbours subtracted.
 *
 * The sources are visited from bright to faint, several times. A visit adds the source's own model to what is left of the
 * image, fits again and subtracts the new model: at the end crowded sources share their light as in one large fit. */
#include "psf.h"

enum { ROUNDS = 12 };
static const double LEAST_INSIDE = 0.2; /* of the PSF on pixels that count, for a fit */
static const double LEAST_SHARE = 0.005; /* of the PSF on pixels that do not count, that is worth a flag */

/* Scratch of a fit. */
typedef struct {
    double *grid, *value, *by_x, *by_y, *shift;
    float *left; /* image without the models of all sources visited */
} bench;

/* Where the drawn PSF is. */
typedef struct {
    int64_t x, y;
    double flux;
    bool drawn;
} place;

static void draw(const qk_psf *psf, double x, double y, bool slopes, bench *b, place *at) {
    double nx = rint(x), ny = rint(y);
    qk_psf_shift(psf, b->grid, x - nx, y - ny, b->value, slopes ? b->by_x : NULL, b->by_y, b->shift);
    at->x = (int64_t)nx - psf->side / 2;
    at->y = (int64_t)ny - psf->side / 2;
}

/* Add flux times the drawn PSF to what is left. */
static void add_model(const qk_frame *f, const qk_psf *psf, const place *at, double flux, bench *b) {
    for (int64_t j = 0; j < psf->side; j++) {
        int64_t y = at->y + j;
        if (y < 0 || y >= f->ny) continue;
        for (int64_t i = 0; i < psf->side; i++) {
            int64_t x = at->x + i;
            if (x >= 0 && x < f->nx) b->left[y * f->nx + x] += (float)(flux * b->value[j * psf->side + i]);
        }
    }
}

/* Normal equations of flux, flux * x and flux * y at the drawn PSF. */
typedef struct {
    double a[9], b[3], chi2, psf_inside, psf_off, psf_masked;
    int64_t pixels;
    int32_t flags;
} normal;

static normal equations(const qk_frame *f, const qk_psf *psf, const place *at, double flux, const bench *b) {
    normal n = {0};
    double per_unit = f->gain > 0 ? 1 / f->gain : 0;
    for (int64_t j = 0; j < psf->side; j++)
        for (int64_t i = 0; i < psf->side; i++) {
            int64_t x = at->x + i, y = at->y + j, k = j * psf->side + i, pixel = y * f->nx + x;
            if (x < 0 || y < 0 || x >= f->nx || y >= f->ny) {
                n.psf_off += fabs(b->value[k]);
                continue;
            }
            if (!qk_counts(f, pixel, 0)) {
                n.psf_masked += fabs(b->value[k]);
                continue;
            }
            double rest = (double)b->left[pixel] - flux * b->value[k], variance = qk_variance_with(f, pixel, rest, per_unit);
            if (!(variance > 0)) continue;
            double weight = 1 / variance, p[3] = {b->value[k], b->by_x[k], b->by_y[k]};
            for (int r = 0; r < 3; r++) {
                n.b[r] += weight * p[r] * rest;
                for (int c = 0; c <= r; c++) n.a[3 * r + c] += weight * p[r] * p[c];
            }
            n.chi2 += weight * rest * rest;
            n.psf_inside += b->value[k];
            n.pixels++;
        }
    if (n.psf_off > LEAST_SHARE) n.flags |= QK_FLAG_EDGE;
    if (n.psf_masked > LEAST_SHARE) n.flags |= QK_FLAG_MASKED;
    n.a[1] = n.a[3];
    n.a[2] = n.a[6];
    n.a[5] = n.a[7];
    return n;
}

/* Solve for the step of flux and position; the position's only when it is free. */
static bool step_of(const normal *n, bool free_position, double flux, double *step) {
    step[1] = step[2] = 0;
    if (!free_position || !(flux > 0)) {
        if (!(n->a[0] > 0)) return false;
        step[0] = n->b[0] / n->a[0];
        return true;
    }
    double a[9];
    memcpy(a, n->a, sizeof a);
    memcpy(step, n->b, 3 * sizeof *step);
    if (!qk_cholesky_solve(a, step, 3)) return false;
    step[1] /= flux;
    step[2] /= flux;
    return true;
}

/* Standard errors: the diagonal of the inverse. */
static void set_errors(const normal *n, bool free_position, qk_psf_flux *out) {
    if (!free_position || !(out->flux > 0)) {
        out->flux_error = sqrt(1 / n->a[0]);
        out->x_error = out->y_error = NAN;
        return;
    }
    double *error[3] = {&out->flux_error, &out->x_error, &out->y_error};
    for (int i = 0; i < 3; i++) {
        double a[9], unit[3] = {i == 0, i == 1, i == 2};
        memcpy(a, n->a, sizeof a);
        *error[i] = qk_cholesky_solve(a, unit, 3) ? sqrt(unit[i]) / (i ? out->flux : 1) : NAN;
    }
}

static double limited(double step) { return step > 0.5 ? 0.5 : step < -0.5 ? -0.5 : step; }

/* Fit flux and position from where they stand; false when there is nothing to fit. */
static bool fit(const qk_frame *f, const qk_psf *psf, double x0, double y0, double stray, bool free_position, bench *b,
                place *at, qk_psf_flux *out) {
    double flux = out->flux, x = out->x, y = out->y;
    bool settled = false;
    for (int round = 0; round < ROUNDS && !settled; round++) {
        double step[3];
        draw(psf, x, y, true, b, at);
        normal n = equations(f, psf, at, flux, b);
        if (n.psf_inside < LEAST_INSIDE || !step_of(&n, free_position, flux, step) || !isfinite(step[0] + step[1] + step[2])) return false;
        flux += step[0];
        x += limited(step[1]);
        y += limited(step[2]);
        if (!(hypot(x - x0, y - y0) <= stray)) break;
        settled = round > 0 && fabs(step[1]) + fabs(step[2]) < 1e-4 && fabs(step[0]) <= 1e-5 * fabs(flux) + 1e-12;
    }
    if (free_position && !settled) {
        out->x = x0;
        out->y = y0;
        if (!fit(f, psf, x0, y0, stray, false, b, at, out)) return false;
        out->flags |= QK_FLAG_NOT_CONVERGED;
        return true;
    }
    draw(psf, x, y, true, b, at);
    normal n = equations(f, psf, at, flux, b);
    *out = (qk_psf_flux){flux, 0, x, y, 0, 0, n.chi2 / (double)(n.pixels > 3 ? n.pixels - 3 : 1), 0, n.flags};
    set_errors(&n, free_position, out);
    return true;
}

static void visit(const qk_frame *f, const qk_psf *psf, double x, double y, double stray, bool free_position, bench *b,
                  place *at, qk_psf_flux *out) {
    if (!isfinite(x) || !isfinite(y) || !(x > -0.5 && x < (double)f->nx - 0.5) || !(y > -0.5 && y < (double)f->ny - 0.5) ||
        !qk_psf_grid(psf, x, y, b->grid)) {
        out->flags = QK_FLAG_NO_DATA;
        return;
    }
    if (at->drawn) {
        draw(psf, out->x, out->y, false, b, at);
        add_model(f, psf, at, at->flux, b);
    }
    /* a position that strayed while neighbours still shone is tried again */
    at->drawn = fit(f, psf, x, y, stray, free_position, b, at, out);
    if (!at->drawn) {
        *out = (qk_psf_flux){NAN, NAN, x, y, NAN, NAN, NAN, 0, QK_FLAG_NO_DATA};
        return;
    }
    at->flux = out->flux;
    add_model(f, psf, at, -out->flux, b);
}

static int run(const qk_frame *f, const qk_psf *psf, const double *x, const double *y, const int64_t *order, int64_t n,
               int64_t visits, double stray, bool free_position, bench *b, qk_psf_flux *out) {
    place *at = qk_scratch(n, sizeof *at);
    if (!at) return QK_LIMIT;
    for (int64_t i = 0; i < n; i++) {
        at[i] = (place){0, 0, 0, false};
        out[i] = (qk_psf_flux){0, NAN, x[i], y[i], NAN, NAN, NAN, 0, 0};
    }
    for (int64_t round = 0; round < visits; round++)
        for (int64_t k = 0; k < n; k++) {
            int64_t i = order[k];
            if (!(out[i].flags & QK_FLAG_NO_DATA)) visit(f, psf, x[i], y[i], stray, free_position, b, at + i, out + i);
            if (out[i].flags & QK_FLAG_NO_DATA) out[i].flux = NAN;
        }
    free(at);
    return QK_OK;
}

int qk_psf_photometry(const qk_frame *frame, const qk_psf *psf, const double *x, const double *y, const int64_t *order,
                      int64_t n, int64_t visits, double stray, int free_position, qk_psf_flux *out, float *left) {
    if (qk_check_frame(frame) || qk_check_psf(psf)) return QK_BAD_ARGUMENT;
    if (visits < 1 || visits > 100 || !(stray >= 0)) return qk_fail(QK_BAD_ARGUMENT, "%lld visits", (long long)visits);
    for (int64_t k = 0; k < n; k++)
        if (order[k] < 0 || order[k] >= n) return qk_fail(QK_BAD_ARGUMENT, "source %lld of %lld", (long long)order[k], (long long)n);
    int64_t pixels = psf->side * psf->side, samples = qk_psf_samples(psf);
    qk_frame whole = *frame;
    whole.segments = NULL; /* neighbours are subtracted, not left out */
    double *memory = qk_scratch(3 * pixels + samples * (samples + 2 * psf->side), sizeof *memory);
    if (!memory) return QK_LIMIT;
    bench b = {memory + 3 * pixels, memory, memory + pixels, memory + 2 * pixels, memory + 3 * pixels + samples * samples, left};
    memcpy(left, frame->image, (size_t)(frame->ny * frame->nx) * sizeof *left);
    int status = run(&whole, psf, x, y, order, n, visits, stray, free_position != 0, &b, out);
    free(memory);
    return status;
}
