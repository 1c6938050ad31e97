/* Positions and shapes under a Gaussian window: a fixed round one, or one that adapts to the source. */
#include "frame.h"

enum { ROUNDS = 100 };
static const double REACH = 4.0;       /* window's standard deviations */
static const double LEAST_WEIGHT = 3e-4; /* of a filled pixel that is worth a flag */
static const double LEAST_SIZE = 0.05; /* pixel^2, of a second moment: less is a single pixel */
static const double COARSE = 0.6; /* pixel^2: a window with a smaller second moment changes too much within a pixel */
static const double PIXEL = 1.0 / 12; /* pixel^2, second moment of a pixel */
enum { PARTS = 4 };                   /* of a pixel's side that such a window is taken at */

typedef struct {
    double xx, yy, xy; /* second moments of the window */
} window;

typedef struct {
    double sum, x, y, xx, yy, xy; /* moments of image times window: offsets from the window's middle */
    int32_t flags;
} sums;

static double weight_of(const window *w, double det, double dx, double dy) {
    return exp(-0.5 * (w->yy * dx * dx - 2 * w->xy * dx * dy + w->xx * dy * dy) / det);
}

static inline void add_light(double light, double dx, double dy, sums *s) {
    s->sum += light;
    s->x += light * dx;
    s->y += light * dy;
    s->xx += light * dx * dx;
    s->yy += light * dy * dy;
    s->xy += light * dx * dy;
}

/* A window's moments over one pixel, its light the same all over it, about the window's middle. */
static sums parts_of(const window *w, double det, double dx, double dy) {
    sums p = {0};
    for (int j = 0; j < PARTS; j++)
        for (int i = 0; i < PARTS; i++) {
            double u = dx + (i + 0.5) / PARTS - 0.5, v = dy + (j + 0.5) / PARTS - 0.5;
            add_light(weight_of(w, det, u, v) / (PARTS * PARTS), u, v, &p);
        }
    return p;
}

static void add(const sums *p, double light, sums *s) {
    s->sum += light * p->sum;
    s->x += light * p->x;
    s->y += light * p->y;
    s->xx += light * p->xx;
    s->yy += light * p->yy;
    s->xy += light * p->xy;
}

static sums sums_of(const qk_frame *f, const window *w, double x, double y, bool fine, int32_t segment) {
    sums s = {0};
    double det = w->xx * w->yy - w->xy * w->xy;
    qk_box box = qk_box_of(f, x, y, REACH * sqrt(w->xx), REACH * sqrt(w->yy));
    for (int64_t j = box.y0; j < box.y1; j++)
        for (int64_t i = box.x0; i < box.x1; i++) {
            double dx = (double)i - x, dy = (double)j - y;
            double v = fine ? 0 : weight_of(w, det, dx, dy), light = 1;
            sums parts = {0};
            if (fine) parts = parts_of(w, det, dx, dy), v = parts.sum;
            int64_t at;
            if (qk_seen(f, i, j, segment, &at)) {
                light = f->image[at];
            } else {
                qk_light pixel = qk_missing(f, x, y, i, j, segment);
                if (v > LEAST_WEIGHT) s.flags |= pixel.flags;
                light = pixel.value;
            }
            if (fine) {
                add(&parts, light, &s);
                continue;
            }
            add_light(v * light, dx, dy, &s);
        }
    if (!(s.sum > 0)) {
        s.flags |= QK_FLAG_NO_DATA;
        return s;
    }
    s.x /= s.sum;
    s.y /= s.sum;
    s.xx = s.xx / s.sum - s.x * s.x;
    s.yy = s.yy / s.sum - s.y * s.y;
    s.xy = s.xy / s.sum - s.x * s.y;
    return s;
}

/* Standard errors of what the fixed point says: noise moves a moment of the product by twice, an adapting window's second
 * moment by four times its own. */
static void errors(const qk_frame *f, const window *w, const sums *s, bool fine, int32_t segment, double gain, qk_moments *m) {
    double det = w->xx * w->yy - w->xy * w->xy, ex = 0, ey = 0, exx = 0, eyy = 0, exy = 0;
    qk_box box = qk_box_of(f, m->x, m->y, REACH * sqrt(w->xx), REACH * sqrt(w->yy));
    for (int64_t j = box.y0; j < box.y1; j++)
        for (int64_t i = box.x0; i < box.x1; i++) {
            double dx = (double)i - m->x, dy = (double)j - m->y;
            qk_light pixel = qk_light_at(f, m->x, m->y, i, j, segment);
            double variance = pixel.variance;
            if (!f->variance && f->gain > 0 && pixel.value > 0) variance += pixel.value / f->gain;
            if (fine) {
                sums p = parts_of(w, det, dx, dy);
                ex += variance * p.x * p.x;
                ey += variance * p.y * p.y;
                exx += variance * (p.xx - s->xx * p.sum) * (p.xx - s->xx * p.sum);
                eyy += variance * (p.yy - s->yy * p.sum) * (p.yy - s->yy * p.sum);
                exy += variance * (p.xy - s->xy * p.sum) * (p.xy - s->xy * p.sum);
                continue;
            }
            double weight = weight_of(w, det, dx, dy), v = weight * weight * variance;
            ex += v * dx * dx;
            ey += v * dy * dy;
            exx += v * (dx * dx - s->xx) * (dx * dx - s->xx);
            eyy += v * (dy * dy - s->yy) * (dy * dy - s->yy);
            exy += v * (dx * dy - s->xy) * (dx * dy - s->xy);
        }
    m->x_error = 2 * sqrt(ex) / s->sum;
    m->y_error = 2 * sqrt(ey) / s->sum;
    m->xx_error = gain * sqrt(exx) / s->sum;
    m->yy_error = gain * sqrt(eyy) / s->sum;
    m->xy_error = gain * sqrt(exy) / s->sum;
}

/* Moments of the source whose product with the window has the moments s, if both are Gaussian: (S^-1 - W^-1)^-1. */
static window unweighted(const window *w, const sums *s) {
    double sd = s->xx * s->yy - s->xy * s->xy, wd = w->xx * w->yy - w->xy * w->xy;
    double xx = s->yy / sd - w->yy / wd, yy = s->xx / sd - w->xx / wd, xy = -s->xy / sd + w->xy / wd;
    double d = xx * yy - xy * xy;
    if (sd > 0 && d > 0 && xx > 0) return (window){yy / d, xx / d, -xy / d};
    return (window){2 * s->xx, 2 * s->yy, 2 * s->xy};
}

static bool sensible(const window *w, double most) {
    return w->xx > LEAST_SIZE && w->yy > LEAST_SIZE && w->xx < most && w->yy < most &&
           w->xx * w->yy - w->xy * w->xy > LEAST_SIZE * LEAST_SIZE;
}

/* Move, and adapt when asked, the window until it rests. */
static qk_moments measure(const qk_frame *f, double x, double y, window w, bool adaptive, double most, double stray,
                          int32_t segment) {
    qk_moments m = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, QK_FLAG_NO_DATA, 0};
    double x0 = x, y0 = y;
    bool fine = false;
    for (int round = 0; round < ROUNDS; round++) {
        if (adaptive && (fine ? w.xx > 2 * COARSE && w.yy > 2 * COARSE : w.xx < COARSE || w.yy < COARSE)) {
            fine = !fine; /* at two sizes, or the window would swing between both ways */
            w.xx += fine ? PIXEL : -PIXEL;
            w.yy += fine ? PIXEL : -PIXEL;
        }
        if (!sensible(&w, most) || !(hypot(x - x0, y - y0) <= stray)) {
            m.flags = QK_FLAG_NOT_CONVERGED;
            return m;
        }
        sums s = sums_of(f, &w, x, y, fine, segment);
        m.flags = s.flags;
        if (s.flags & QK_FLAG_NO_DATA) return m;
        window next = adaptive ? unweighted(&w, &s) : w;
        double change = fabs(s.x) + fabs(s.y) + (fabs(next.xx - w.xx) + fabs(next.yy - w.yy)) / (w.xx + w.yy);
        x += 2 * s.x;
        y += 2 * s.y;
        if (change < 1e-6) {
            window m1 = unweighted(&w, &s), both = {w.xx + m1.xx, w.yy + m1.yy, w.xy + m1.xy};
            m.x = x;
            m.y = y;
            m.xx = adaptive ? next.xx : s.xx;
            m.yy = adaptive ? next.yy : s.yy;
            m.xy = adaptive ? next.xy : s.xy;
            if (fine) { /* the light was spread over its pixels once more */
                m.xx -= PIXEL;
                m.yy -= PIXEL;
            }
            m.flux = s.sum * sqrt((both.xx * both.yy - both.xy * both.xy) / (w.xx * w.yy - w.xy * w.xy));
            errors(f, &w, &s, fine, segment, adaptive ? 4 : 1, &m);
            return m;
        }
        w = next;
    }
    m.flags |= QK_FLAG_NOT_CONVERGED;
    return m;
}

int qk_moments_of(const qk_frame *f, const double *x, const double *y, const double *size, const int32_t *segment,
                  int adaptive, double most, double stray, int64_t n, qk_moments *out) {
    if (qk_check_frame(f)) return QK_BAD_ARGUMENT;
    if (!(most > 0) || !(most <= 1e6) || !(stray > 0)) return qk_fail(QK_BAD_ARGUMENT, "windows to %g pixel^2", most);
    for (int64_t i = 0; i < n; i++) {
        window w = {size[i] * size[i], size[i] * size[i], 0};
        out[i] = measure(f, x[i], y[i], w, adaptive != 0, most, stray, segment ? segment[i] : 0);
    }
    return QK_OK;
}
