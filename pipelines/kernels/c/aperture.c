/* Fluxes in ellipses with the exact overlap of every pixel, and Kron's radius. */
#include "frame.h"

static const double LEAST_AREA = 0.5; /* share of an aperture that must have been seen */

/* Area between two radii of the unit circle through p and q, signed: half the angle between them. Small angles, as pixels of
 * large apertures see them, by a series that is right to 1e-14. */
static double sector(double px, double py, double qx, double qy) {
    double across = px * qy - py * qx, along = px * qx + py * qy;
    if (!(fabs(across) < 0.1 * along)) return 0.5 * atan2(across, along);
    double t = across / along, s = t * t;
    return 0.5 * t * (1 - s * (1.0 / 3 - s * (1.0 / 5 - s * (1.0 / 7 - s * (1.0 / 9 - s * (1.0 / 11))))));
}

static double triangle(double px, double py, double qx, double qy) { return 0.5 * (px * qy - py * qx); }

/* Signed area common to the unit disk and the triangle (0, p, q). */
static double edge_area(double px, double py, double qx, double qy) {
    double dx = qx - px, dy = qy - py, a = dx * dx + dy * dy, b = px * dx + py * dy, c = px * px + py * py - 1;
    double root = b * b - a * c;
    if (a == 0) return 0;
    if (root <= 0) return sector(px, py, qx, qy);
    root = sqrt(root);
    double in = (-b - root) / a, out = (-b + root) / a;
    if (out <= 0 || in >= 1) return sector(px, py, qx, qy);
    double area = 0, sx = px, sy = py, tx = qx, ty = qy;
    if (in > 0) {
        sx = px + in * dx;
        sy = py + in * dy;
        area += sector(px, py, sx, sy);
    }
    if (out < 1) {
        tx = px + out * dx;
        ty = py + out * dy;
        area += sector(tx, ty, qx, qy);
    }
    return area + triangle(sx, sy, tx, ty);
}

/* An ellipse: half axes, and the linear map that makes it the unit circle. */
typedef struct {
    double x, y, a, b, xx, xy, yx, yy, half_x, half_y;
    double inner, outer; /* squared radii in the plane of the unit circle: pixels with a middle within, or beyond, are whole */
} ellipse;

static ellipse ellipse_of(double x, double y, double a, double b, double theta) {
    double c = cos(theta), s = sin(theta), blur = 0.70711 / (a < b ? a : b);
    return (ellipse){x, y, a, b, c / a, s / a, -s / b, c / b, hypot(a * c, b * s), hypot(a * s, b * c),
                     blur < 1 ? (1 - blur) * (1 - blur) : -1, (1 + blur) * (1 + blur)};
}

static bool is_ellipse(double a, double b, double theta) { return a > 0 && b > 0 && isfinite(a) && isfinite(b) && isfinite(theta); }

/* Share of the pixel at (dx, dy) from the centre that is inside. */
static double overlap(const ellipse *e, double dx, double dy) {
    double u = e->xx * dx + e->xy * dy, v = e->yx * dx + e->yy * dy, r2 = u * u + v * v;
    if (r2 <= e->inner) return 1;
    if (r2 >= e->outer) return 0;
    double hx = 0.5 * (e->xx + e->xy), hy = 0.5 * (e->yx + e->yy), gx = 0.5 * (e->xx - e->xy), gy = 0.5 * (e->yx - e->yy);
    double area = edge_area(u - hx, v - hy, u + gx, v + gy) + edge_area(u + gx, v + gy, u + hx, v + hy) +
                  edge_area(u + hx, v + hy, u - gx, v - gy) + edge_area(u - gx, v - gy, u - hx, v - hy);
    area *= e->a * e->b;
    return area < 0 ? 0 : area > 1 ? 1 : area;
}

/* Sums over an aperture so far. */
typedef struct {
    double flux, variance, light, opposite;
    qk_flux *out;
} totals;

static void add_pixel(const qk_frame *f, const ellipse *e, int64_t x, int64_t y, double weight, int32_t segment, totals *t) {
    int64_t at;
    if (qk_seen(f, x, y, segment, &at)) {
        t->out->area += weight;
        if (f->mask) t->out->planes |= f->mask[at];
        t->flux += weight * f->image[at];
        t->light += weight * weight * f->image[at];
        t->variance += weight * weight * qk_variance(f, at);
        return;
    }
    qk_light pixel = qk_missing(f, e->x, e->y, x, y, segment);
    if (pixel.flags == QK_FLAG_NEIGHBOUR && pixel.known) t->opposite += weight;
    t->out->flags |= pixel.flags;
    if (f->mask && !(pixel.flags & QK_FLAG_EDGE)) t->out->planes |= f->mask[at];
    t->flux += weight * pixel.value;
    t->light += weight * weight * pixel.value;
    t->variance += weight * weight * pixel.variance;
}

/* Whole pixels of a row that all count, from x0 up to, without, x1; returns where the first is that does not. */
static int64_t add_run(const qk_frame *f, int64_t x0, int64_t x1, int64_t y, int32_t segment, totals *t) {
    const float *image = f->image + y * f->nx, *variance = f->variance ? f->variance + y * f->nx : NULL;
    double flux = 0, noise = 0, everywhere = f->noise * f->noise;
    int32_t planes = 0;
    int64_t x = x0;
    for (; x < x1 && qk_counts(f, y * f->nx + x, segment); x++) {
        flux += image[x];
        noise += variance ? (double)variance[x] : everywhere;
        if (f->mask) planes |= f->mask[y * f->nx + x];
    }
    t->flux += flux;
    t->light += flux;
    t->variance += noise;
    t->out->area += (double)(x - x0);
    t->out->planes |= planes;
    return x;
}

/* The pixels of a row that are whole inside, as long as they are one run on the image: from *x0 up to, without, *x1. */
static void whole_run(const qk_frame *f, const ellipse *e, int64_t y, const qk_box *box, int64_t *x0, int64_t *x1) {
    double dy = (double)y - e->y, a = e->xx * e->xx + e->yx * e->yx, b = (e->xx * e->xy + e->yx * e->yy) * dy;
    double c = (e->xy * e->xy + e->yy * e->yy) * dy * dy - e->inner, root = b * b - a * c;
    *x0 = *x1 = box->x0;
    if (e->inner <= 0 || root <= 0 || y < 0 || y >= f->ny) return;
    root = sqrt(root);
    double low = ceil(e->x + (-b - root) / a), high = floor(e->x + (-b + root) / a); /* one pixel less: rounding */
    int64_t first = low > 0 ? (int64_t)low + 1 : 1, last = high < (double)f->nx - 1 ? (int64_t)high - 1 : f->nx - 2;
    if (last < first) return;
    *x0 = first;
    *x1 = last + 1;
}

/* Sums over one aperture. */
static qk_flux aperture(const qk_frame *f, const ellipse *e, int32_t segment) {
    qk_flux out = {NAN, NAN, 0, 0, 0};
    totals t = {0, 0, 0, 0, &out};
    qk_box box = qk_box_of(f, e->x, e->y, e->half_x + 0.5, e->half_y + 0.5);
    for (int64_t y = box.y0; y < box.y1; y++) {
        int64_t from, to;
        whole_run(f, e, y, &box, &from, &to);
        for (int64_t x = box.x0; x < box.x1; x++) {
            if (x >= from && x < to) {
                x = add_run(f, x, to, y, segment, &t);
                if (x >= box.x1) break;
            }
            double weight = overlap(e, (double)x - e->x, (double)y - e->y);
            if (weight > 0) add_pixel(f, e, x, y, weight, segment, &t);
        }
    }
    if (out.area + t.opposite < LEAST_AREA * acos(-1) * e->a * e->b) {
        out.flags |= QK_FLAG_NO_DATA;
        return out;
    }
    if (!f->variance && f->gain > 0 && t.light > 0) t.variance += t.light / f->gain;
    out.flux = t.flux;
    out.error = sqrt(t.variance);
    return out;
}

int qk_apertures(const qk_frame *f, const double *x, const double *y, const double *a, const double *b, const double *theta,
                 const int32_t *segment, int64_t n, qk_flux *out) {
    if (qk_check_frame(f)) return QK_BAD_ARGUMENT;
    for (int64_t i = 0; i < n; i++) {
        out[i] = (qk_flux){NAN, NAN, 0, 0, QK_FLAG_NO_DATA};
        if (!is_ellipse(a[i], b[i], theta[i])) continue;
        ellipse e = ellipse_of(x[i], y[i], a[i], b[i], theta[i]);
        out[i] = aperture(f, &e, segment ? segment[i] : 0);
    }
    return QK_OK;
}

int qk_kron_radii(const qk_frame *f, const double *x, const double *y, const double *a, const double *b, const double *theta,
                  const int32_t *segment, double reach, int64_t n, double *radius, int32_t *flags) {
    if (qk_check_frame(f)) return QK_BAD_ARGUMENT;
    if (!(reach > 0 && reach < 1e3)) return qk_fail(QK_BAD_ARGUMENT, "a reach of %g half axes", reach);
    for (int64_t i = 0; i < n; i++) {
        radius[i] = NAN;
        flags[i] = QK_FLAG_NO_DATA;
        if (!is_ellipse(a[i], b[i], theta[i])) continue;
        ellipse e = ellipse_of(x[i], y[i], a[i], b[i], theta[i]);
        qk_box box = qk_box_of(f, e.x, e.y, reach * e.half_x, reach * e.half_y);
        double sum = 0, moment = 0;
        flags[i] = 0;
        for (int64_t row = box.y0; row < box.y1; row++)
            for (int64_t column = box.x0; column < box.x1; column++) {
                double dx = (double)column - e.x, dy = (double)row - e.y;
                double u = e.xx * dx + e.xy * dy, v = e.yx * dx + e.yy * dy, r2 = u * u + v * v;
                if (r2 > reach * reach) continue;
                qk_light pixel = qk_light_at(f, e.x, e.y, column, row, segment ? segment[i] : 0);
                flags[i] |= pixel.flags;
                sum += pixel.value;
                moment += sqrt(r2) * pixel.value;
            }
        if (sum > 0 && moment > 0) radius[i] = moment / sum;
        else flags[i] |= QK_FLAG_NO_DATA;
    }
    return QK_OK;
}
