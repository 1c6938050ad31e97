/* Footprints: connected pixels above a threshold, found as runs of rows joined by union-find. */
#include "detect.h"

typedef struct {
    int32_t y, first, last, parent; /* columns first to last of row y; parent is a run with a lower or equal number */
} run;

typedef struct {
    run *all;
    int64_t n, capacity;
} run_list;

static bool append(run_list *runs, run one) {
    if (runs->n == runs->capacity) {
        int64_t capacity = runs->capacity ? 2 * runs->capacity : 4096;
        run *more = capacity <= INT32_MAX ? qk_scratch(capacity, sizeof *more) : NULL;
        if (!more) return false;
        if (runs->n) memcpy(more, runs->all, (size_t)runs->n * sizeof *more);
        free(runs->all);
        runs->all = more;
        runs->capacity = capacity;
    }
    runs->all[runs->n++] = one;
    return true;
}

static int32_t root_of(run *all, int32_t number) {
    while (all[number].parent != number) {
        all[number].parent = all[all[number].parent].parent;
        number = all[number].parent;
    }
    return number;
}

QK_CLONES static bool any_above(const float *row, int64_t n, float threshold) {
    int any = 0;
    for (int64_t i = 0; i < n; i++) any |= row[i] >= threshold;
    return any;
}

static bool runs_of_row(const float *row, int64_t y, int64_t nx, float threshold, run_list *runs) {
    int64_t x = 0;
    while (x < nx) {
        int64_t block = nx - x < 64 ? nx - x : 64;
        if (!any_above(row + x, block, threshold)) {
            x += block;
            continue;
        }
        while (!(row[x] >= threshold)) x++;
        int64_t first = x;
        while (x < nx && row[x] >= threshold) x++;
        if (!append(runs, (run){(int32_t)y, (int32_t)first, (int32_t)(x - 1), (int32_t)runs->n})) return false;
    }
    return true;
}

/* Join the runs of a row, from `here`, with those of the row above, from `above` to `here`; corners touch. */
static void join(run_list *runs, int64_t above, int64_t here) {
    int64_t a = above, b = here;
    while (a < here && b < runs->n) {
        run *up = runs->all + a, *down = runs->all + b;
        if (up->first <= down->last + 1 && down->first <= up->last + 1) {
            int32_t one = root_of(runs->all, (int32_t)a), other = root_of(runs->all, (int32_t)b);
            if (one < other) runs->all[other].parent = one;
            else runs->all[one].parent = other;
        }
        if (up->last < down->last) a++;
        else b++;
    }
}

static bool find_runs(const float *significance, int64_t ny, int64_t nx, float threshold, run_list *runs) {
    int64_t above = 0;
    for (int64_t y = 0; y < ny; y++) {
        int64_t here = runs->n;
        if (!runs_of_row(significance + y * nx, y, nx, threshold, runs)) return false;
        if (here > above && runs->all[above].y == y - 1) join(runs, above, here);
        above = here;
    }
    return true;
}

/* Number footprints in the order of their first pixel and sort the runs by footprint: order holds run numbers,
 * start[f] the place of the first run of footprint f. Returns the number of footprints, -1 without memory. */
static int64_t group(run_list *runs, int32_t **order, int32_t **start) {
    int32_t *number = qk_scratch(runs->n, sizeof *number);
    *order = qk_scratch(runs->n, sizeof **order);
    *start = qk_scratch(runs->n + 2, sizeof **start);
    int64_t footprints = -1;
    if (number && *order && *start) {
        footprints = 0;
        memset(*start, 0, (size_t)(runs->n + 2) * sizeof **start);
        for (int64_t i = 0; i < runs->n; i++) {
            int32_t root = root_of(runs->all, (int32_t)i);
            number[i] = root == i ? (int32_t)footprints++ : number[root];
            (*start)[number[i] + 2]++;
        }
        for (int64_t f = 2; f < footprints + 2; f++) (*start)[f] += (*start)[f - 1];
        for (int64_t i = 0; i < runs->n; i++) (*order)[(*start)[number[i] + 1]++] = (int32_t)i;
    }
    free(number);
    return footprints;
}

/* Pixel numbers of a footprint, row after row. */
static void collect(const run_list *runs, const int32_t *order, int64_t n, int64_t nx, int32_t *pixels) {
    for (int64_t k = 0; k < n; k++) {
        const run *one = runs->all + order[k];
        for (int32_t x = one->first; x <= one->last; x++) *pixels++ = (int32_t)(one->y * nx + x);
    }
}

static int64_t area_of(const run_list *runs, const int32_t *order, int64_t n) {
    int64_t area = 0;
    for (int64_t k = 0; k < n; k++) area += runs->all[order[k]].last - runs->all[order[k]].first + 1;
    return area;
}

static int sources_of_footprint(const qk_field *field, const qk_blend *blend, int32_t number, qk_source *sources,
                                int64_t capacity, int64_t *n_sources) {
    int64_t found = blend->n_peaks;
    if (*n_sources + found > capacity)
        return qk_fail(QK_LIMIT, "more than %lld sources above the threshold", (long long)capacity);
    for (int64_t k = 0; k < found; k++) {
        qk_source *one = sources + *n_sources + k;
        memset(one, 0, sizeof *one);
        one->footprint = number;
        one->siblings = (int32_t)found - 1;
        one->flags = blend->flags | (found > 1 ? QK_FLAG_DEBLENDED : 0);
    }
    qk_measure_segments(field, blend, sources + *n_sources, (int32_t)*n_sources);
    *n_sources += found;
    return QK_OK;
}

static int detect(const qk_field *field, run_list *runs, qk_source *sources, int64_t capacity, int64_t *n_sources) {
    int32_t *order = NULL, *start = NULL, *pixels = NULL;
    int64_t footprints = find_runs(field->significance, field->ny, field->nx, field->threshold, runs)
                             ? group(runs, &order, &start)
                             : -1;
    int status = footprints < 0 ? QK_LIMIT : QK_OK;
    int64_t largest = 0;
    for (int64_t f = 0; f < footprints; f++) {
        int64_t area = area_of(runs, order + start[f], start[f + 1] - start[f]);
        if (area > largest) largest = area;
    }
    qk_blend blend = {0};
    if (status == QK_OK && !((pixels = qk_scratch(largest, sizeof *pixels)) && qk_blend_open(&blend, largest)))
        status = QK_LIMIT;
    int32_t number = 0;
    for (int64_t f = 0; f < footprints && status == QK_OK; f++) {
        int64_t n = start[f + 1] - start[f], area = area_of(runs, order + start[f], n);
        if (area < field->min_pixels) continue;
        collect(runs, order + start[f], n, field->nx, pixels);
        qk_deblend(field, pixels, area, &blend);
        status = sources_of_footprint(field, &blend, number++, sources, capacity, n_sources);
    }
    qk_blend_close(&blend);
    free(pixels);
    free(order);
    free(start);
    return status;
}

int qk_detect(const float *significance, const float *image, const int32_t *mask, int64_t ny, int64_t nx, double threshold,
              int64_t min_pixels, int64_t levels, double contrast, int64_t reach, int32_t *segments, qk_source *sources,
              int64_t capacity, int64_t *n_sources) {
    if (qk_check_shape(ny, nx)) return QK_BAD_ARGUMENT;
    if (!(threshold > 0) || !isfinite(threshold)) return qk_fail(QK_BAD_ARGUMENT, "a threshold of %g", threshold);
    if (min_pixels < 1 || levels < 1 || levels > QK_MAX_LEVELS || !(contrast >= 0 && contrast <= 1) || capacity < 0 || reach < 1 ||
        reach > QK_MAX_SIDE)
        return qk_fail(QK_BAD_ARGUMENT, "%lld pixels at least, %lld levels, contrast %g, %lld sources",
                       (long long)min_pixels, (long long)levels, contrast, (long long)capacity);
    qk_field field = {significance, image, mask, ny, nx, (float)threshold, min_pixels, levels, contrast, reach, segments};
    run_list runs = {0};
    memset(segments, 0, (size_t)(ny * nx) * sizeof *segments);
    *n_sources = 0;
    int status = detect(&field, &runs, sources, capacity, n_sources);
    free(runs.all);
    return status;
}
