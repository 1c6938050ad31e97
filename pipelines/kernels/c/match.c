/* Nearest neighbours on the sky: a k-d tree over unit vectors, so that poles and the wrap of right ascension are no cases. */
#include "internal.h"

enum { LEAF = 8, DEPTH = 64 };

typedef struct {
    double at[3];
    int64_t number;
} point;

static bool unit_vector(double ra, double dec, double *at) {
    if (!isfinite(ra) || !(fabs(dec) <= 90)) return false;
    double degree = acos(-1) / 180, cosine = cos(dec * degree);
    at[0] = cosine * cos(ra * degree);
    at[1] = cosine * sin(ra * degree);
    at[2] = sin(dec * degree);
    return true;
}

static int widest(const point *points, int64_t from, int64_t to) {
    double low[3] = {2, 2, 2}, high[3] = {-2, -2, -2};
    for (int64_t i = from; i < to; i++)
        for (int d = 0; d < 3; d++) {
            if (points[i].at[d] < low[d]) low[d] = points[i].at[d];
            if (points[i].at[d] > high[d]) high[d] = points[i].at[d];
        }
    int best = 0;
    for (int d = 1; d < 3; d++)
        if (high[d] - low[d] > high[best] - low[best]) best = d;
    return best;
}

/* Reorder so that the middle point is in its place along d, smaller ones before it and larger ones after it. */
static void split(point *points, int64_t low, int64_t high, int64_t middle, int d) {
    while (low < high) {
        double pivot = points[low + (high - low) / 2].at[d];
        int64_t i = low, j = high;
        while (i <= j) {
            while (points[i].at[d] < pivot) i++;
            while (points[j].at[d] > pivot) j--;
            if (i <= j) {
                point swap = points[i];
                points[i++] = points[j];
                points[j--] = swap;
            }
        }
        if (middle <= j) high = j;
        else if (middle >= i) low = i;
        else return;
    }
}

/* Node of points from..to - 1: its middle point splits along axis[middle], both halves are nodes. */
static void build(point *points, int8_t *axis, int64_t from, int64_t to) {
    while (to - from > LEAF) {
        int64_t middle = from + (to - from) / 2;
        int d = widest(points, from, to);
        split(points, from, to - 1, middle, d);
        axis[middle] = (int8_t)d;
        build(points, axis, from, middle); /* depth: log2 of the number of points */
        from = middle + 1;
    }
}

typedef struct {
    double at[3], square, nearest_square; /* square of the radius, and of the distance of the nearest so far */
    int64_t nearest;
    int32_t count;
} query;

static void visit(query *q, const point *p) {
    double square = 0;
    for (int d = 0; d < 3; d++) square += (p->at[d] - q->at[d]) * (p->at[d] - q->at[d]);
    if (square > q->square) return;
    q->count++;
    if (q->nearest < 0 || square < q->nearest_square || (square == q->nearest_square && p->number < q->nearest)) {
        q->nearest = p->number;
        q->nearest_square = square;
    }
}

static void search(query *q, const point *points, const int8_t *axis, int64_t n) {
    int64_t from[DEPTH], to[DEPTH];
    int depth = 0;
    from[depth] = 0;
    to[depth++] = n;
    while (depth) {
        int64_t first = from[--depth], end = to[depth];
        if (end - first <= LEAF) {
            for (int64_t i = first; i < end; i++) visit(q, points + i);
            continue;
        }
        int64_t middle = first + (end - first) / 2;
        double beyond = q->at[axis[middle]] - points[middle].at[axis[middle]];
        visit(q, points + middle);
        if (beyond <= 0 || beyond * beyond <= q->square) {
            from[depth] = first;
            to[depth++] = middle;
        }
        if (beyond >= 0 || beyond * beyond <= q->square) {
            from[depth] = middle + 1;
            to[depth++] = end;
        }
    }
}

int qk_match(const double *ra, const double *dec, int64_t n, const double *reference_ra, const double *reference_dec,
             int64_t n_references, double radius, int64_t *nearest, double *separation, int32_t *count) {
    if (!(radius > 0 && radius <= 90)) return qk_fail(QK_BAD_ARGUMENT, "a radius of %g degrees; 0 to 90 are possible", radius);
    point *points = qk_scratch(n_references, sizeof *points);
    int8_t *axis = qk_scratch(n_references, sizeof *axis);
    if (!points || !axis) {
        free(points);
        free(axis);
        return QK_LIMIT;
    }
    int64_t known = 0;
    for (int64_t i = 0; i < n_references; i++)
        if (unit_vector(reference_ra[i], reference_dec[i], points[known].at)) points[known++].number = i;
    build(points, axis, 0, known);
    double degree = acos(-1) / 180, chord = 2 * sin(0.5 * radius * degree);
    for (int64_t i = 0; i < n; i++) {
        query q = {{0, 0, 0}, chord * chord, 0, -1, 0};
        if (unit_vector(ra[i], dec[i], q.at)) search(&q, points, axis, known);
        nearest[i] = q.nearest;
        separation[i] = q.nearest < 0 ? NAN : 2 * asin(fmin(1, 0.5 * sqrt(q.nearest_square))) / degree;
        count[i] = q.count;
    }
    free(points);
    free(axis);
    return QK_OK;
}
