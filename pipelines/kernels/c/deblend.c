/* Multi-threshold deblending (Bertin & Arnouts 1996, section 6) by one union-find from the top level down.
 *
 * Levels stand between the threshold and the footprint's peak in equal ratios. A part of a level joins parts of the level
 * above; where two or more of those are sources of their own, each holding a share `contrast` of the footprint's flux
 * above their level, the part is divided. Pixels go to the source from which water of falling level reaches them first.
 *
 * In a crowd a star has no such share of the flux of all. A large footprint with many peaks, or one beyond MOST_PIXELS, is
 * divided by its peaks instead: pixels above all around that stand out from a ring as wide as the filter. */
#include "detect.h"

static const int64_t MOST_PIXELS = 1 << 20; /* of a footprint that is divided by levels: bounds the scratch to 100 MB */
static const int64_t CROWD_PIXELS = 2048;   /* of a footprint that may be a crowd, */
static const int64_t PIXELS_A_PEAK = 400;   /* with a peak in so many of them */
/* Of a peak above its ring: standard deviations, and in addition a share of itself, or of the noise of bright light. */
static const double LEAST_RISE = 3, LEAST_SHARE = 0.1, PHOTONS = 1.5;

bool qk_blend_open(qk_blend *b, int64_t capacity) {
    int64_t n = capacity < MOST_PIXELS ? capacity : MOST_PIXELS;
    b->capacity = n;
    b->parent = qk_scratch(n, sizeof *b->parent);
    b->order = qk_scratch(n, sizeof *b->order);
    b->active = qk_scratch(n, sizeof *b->active);
    b->next_kid = qk_scratch(n, sizeof *b->next_kid);
    b->object_peak = qk_scratch(capacity, sizeof *b->object_peak);
    b->next_object = qk_scratch(n, sizeof *b->next_object);
    b->heap = qk_scratch(capacity, sizeof *b->heap);
    b->label = qk_scratch(capacity, sizeof *b->label);
    b->level = qk_scratch(n, sizeof *b->level);
    b->part = qk_scratch(n, sizeof *b->part);
    b->kid = qk_scratch(n, sizeof *b->kid);
    return b->parent && b->order && b->active && b->next_kid && b->object_peak && b->next_object && b->heap && b->label &&
           b->level && b->part && b->kid;
}

void qk_blend_close(qk_blend *b) {
    free(b->parent);
    free(b->order);
    free(b->active);
    free(b->next_kid);
    free(b->object_peak);
    free(b->next_object);
    free(b->heap);
    free(b->label);
    free(b->level);
    free(b->part);
    free(b->kid);
}

/* Places in the footprint's list of the up to 8 neighbours of a pixel; footprints never touch each other. */
static int neighbours(const qk_field *f, int32_t pixel, int32_t *found) {
    int64_t x = pixel % f->nx, y = pixel / f->nx;
    int n = 0;
    for (int64_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < f->ny; j++)
        for (int64_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < f->nx; i++) {
            int32_t place = f->segments[j * f->nx + i];
            if (place && j * f->nx + i != pixel) found[n++] = place - 1;
        }
    return n;
}

/* Whether the footprint rises to more than one summit; a flat summit may count twice. */
static bool many_summits(const qk_field *f, const qk_blend *b) {
    int summits = 0;
    for (int64_t k = 0; k < b->n && summits < 2; k++) {
        int32_t around[8];
        int n = neighbours(f, b->pixels[k], around);
        float value = f->significance[b->pixels[k]];
        bool summit = true;
        for (int i = 0; i < n; i++) summit &= f->significance[b->pixels[around[i]]] <= value;
        summits += summit;
    }
    return summits > 1;
}

/* Heights of the levels; the last is the peak. */
static void heights_of(const qk_field *f, float peak, double *height) {
    for (int64_t i = 0; i <= f->levels; i++)
        height[i] = f->threshold * pow((double)peak / f->threshold, (double)i / (double)f->levels);
}

/* The level of every pixel, and the pixels sorted by falling level. */
static void sort_by_level(const qk_field *f, qk_blend *b, const double *height) {
    int32_t count[QK_MAX_LEVELS + 1] = {0};
    for (int64_t k = 0; k < b->n; k++) {
        double value = f->significance[b->pixels[k]];
        int64_t low = 0, high = f->levels; /* the greatest level that the pixel reaches, below the peak's */
        while (low + 1 < high) {
            int64_t middle = (low + high) / 2;
            if (value >= height[middle]) low = middle;
            else high = middle;
        }
        b->level[k] = (uint8_t)low;
        count[low]++;
    }
    int32_t place = 0;
    for (int64_t level = f->levels - 1; level >= 0; level--) {
        int32_t here = count[level];
        count[level] = place;
        place += here;
    }
    for (int64_t k = 0; k < b->n; k++) b->order[count[b->level[k]]++] = (int32_t)k;
}

static int32_t root_of(int32_t *parent, int32_t k) {
    while (parent[k] != k) {
        parent[k] = parent[parent[k]];
        k = parent[k];
    }
    return k;
}

static bool higher(const qk_field *f, const qk_blend *b, int32_t one, int32_t other) {
    float a = f->significance[b->pixels[one]], c = f->significance[b->pixels[other]];
    return a > c || (a == c && one < other);
}

static void unite(const qk_field *f, qk_blend *b, int32_t one, int32_t other) {
    one = root_of(b->parent, one);
    other = root_of(b->parent, other);
    if (one == other) return;
    qk_part *p = b->part + one, *q = b->part + other;
    b->parent[other] = one;
    p->flux += q->flux;
    p->pixels += q->pixels;
    if (higher(f, b, q->peak, p->peak)) p->peak = q->peak;
    if (q->first_kid >= 0) {
        if (p->first_kid >= 0) b->next_kid[p->last_kid] = q->first_kid;
        else p->first_kid = q->first_kid;
        p->last_kid = q->last_kid;
    }
}

/* Append the objects of a kid, itself when it is one, to a part. */
static void inherit(qk_blend *b, qk_part *part, const qk_part *kid, int32_t *objects) {
    int32_t first = kid->first_object, last = kid->last_object, n = kid->n_objects;
    if (n < 2) {
        first = last = (*objects)++;
        b->object_peak[first] = kid->peak;
        b->next_object[first] = -1;
        n = 1;
    }
    if (part->n_objects) b->next_object[part->last_object] = first;
    else part->first_object = first;
    part->last_object = last;
    part->n_objects += n;
}

/* Decide whether a part, now complete at its level, is several sources; above is the height of the kids' level. */
static void decide(const qk_field *f, qk_blend *b, qk_part *part, double above, double least_flux, int32_t *objects) {
    int significant = 0;
    part->n_objects = 0;
    for (int32_t k = part->first_kid; k >= 0; k = b->next_kid[k]) {
        const qk_part *kid = b->kid + k;
        significant += kid->n_objects > 1 || (kid->pixels >= f->min_pixels && kid->flux - above * kid->pixels > least_flux);
    }
    for (int32_t k = part->first_kid; k >= 0; k = b->next_kid[k]) {
        const qk_part *kid = b->kid + k;
        bool several = kid->n_objects > 1;
        if (several || (significant > 1 && kid->pixels >= f->min_pixels && kid->flux - above * kid->pixels > least_flux))
            inherit(b, part, kid, objects);
    }
}

/* Parts of every level from the top down; returns the part that is the whole footprint. */
static const qk_part *build(const qk_field *f, qk_blend *b, const double *height, double least_flux) {
    int64_t next = 0, n_active = 0;
    int32_t objects = 0;
    for (int64_t k = 0; k < b->n; k++) b->parent[k] = -1;
    for (int64_t level = f->levels - 1; level >= 0; level--) {
        for (int64_t i = 0; i < n_active; i++) { /* what is complete so far are the kids of this level's parts */
            int32_t k = b->active[i];
            b->kid[k] = b->part[k];
            b->next_kid[k] = -1;
            b->part[k].first_kid = b->part[k].last_kid = k;
        }
        for (; next < b->n && b->level[b->order[next]] == level; next++) {
            int32_t k = b->order[next], around[8];
            b->parent[k] = k;
            b->part[k] = (qk_part){f->significance[b->pixels[k]], 1, k, -1, -1, 0, -1, -1};
            b->active[n_active++] = k;
            int n = neighbours(f, b->pixels[k], around);
            for (int i = 0; i < n; i++)
                if (b->parent[around[i]] >= 0) unite(f, b, k, around[i]);
        }
        int64_t left = 0;
        for (int64_t i = 0; i < n_active; i++) {
            int32_t k = b->active[i];
            if (b->parent[k] != k) continue;
            b->active[left++] = k;
            decide(f, b, b->part + k, level + 1 < f->levels ? height[level + 1] : height[f->levels], least_flux, &objects);
        }
        n_active = left;
    }
    return b->part + b->active[0];
}

static void sift_down(const qk_field *f, const qk_blend *b, int64_t n) {
    int64_t i = 0;
    for (;;) {
        int64_t kid = 2 * i + 1;
        if (kid >= n) return;
        if (kid + 1 < n && higher(f, b, b->heap[kid + 1], b->heap[kid])) kid++;
        if (!higher(f, b, b->heap[kid], b->heap[i])) return;
        int32_t swap = b->heap[i];
        b->heap[i] = b->heap[kid];
        b->heap[kid] = swap;
        i = kid;
    }
}

static void push(const qk_field *f, const qk_blend *b, int64_t n, int32_t value) {
    int64_t i = n;
    b->heap[i] = value;
    while (i > 0 && higher(f, b, b->heap[i], b->heap[(i - 1) / 2])) {
        int32_t swap = b->heap[i];
        b->heap[i] = b->heap[(i - 1) / 2];
        b->heap[(i - 1) / 2] = swap;
        i = (i - 1) / 2;
    }
}

/* Give every pixel to a peak: the highest pixel that touches a labelled one is next. */
static void flood(const qk_field *f, qk_blend *b) {
    int64_t waiting = 0;
    for (int64_t k = 0; k < b->n; k++) b->label[k] = -1;
    for (int32_t i = 0; i < b->n_peaks; i++) {
        b->label[b->object_peak[i]] = i;
        push(f, b, waiting++, b->object_peak[i]);
    }
    while (waiting) {
        int32_t k = b->heap[0], around[8];
        b->heap[0] = b->heap[--waiting];
        sift_down(f, b, waiting);
        int n = neighbours(f, b->pixels[k], around);
        for (int i = 0; i < n; i++)
            if (b->label[around[i]] < 0) {
                b->label[around[i]] = b->label[k];
                push(f, b, waiting++, around[i]);
            }
    }
}

/* Whether a pixel is above all others in a box, the first of equals, and stands out from a ring. */
static bool is_peak(const qk_field *f, int32_t pixel) {
    int64_t x = pixel % f->nx, y = pixel / f->nx, reach = f->reach, box = (2 * reach + 1) / 3, part = (7 * reach + 5) / 10;
    float value = f->significance[pixel];
    for (int64_t j = y > box ? -box : -y; j <= box && y + j < f->ny; j++)
        for (int64_t i = x > box ? -box : -x; i <= box && x + i < f->nx; i++) {
            float other = f->significance[pixel + j * f->nx + i];
            if (other > value || (other == value && (j < 0 || (j == 0 && i < 0)))) return false;
        }
    const int64_t ring[8][2] = {{-reach, 0}, {reach, 0}, {0, -reach}, {0, reach}, {-part, -part}, {part, -part}, {-part, part}, {part, part}};
    double sum = 0, least = LEAST_SHARE * value, photons = PHOTONS * sqrt(value);
    int n = 0;
    for (int k = 0; k < 8; k++) {
        int64_t i = x + ring[k][0], j = y + ring[k][1];
        if (i < 0 || j < 0 || i >= f->nx || j >= f->ny) continue;
        sum += f->significance[j * f->nx + i];
        n++;
    }
    return n > 0 && value - sum / n >= LEAST_RISE + (least < photons ? least : photons);
}

/* Peaks of a footprint, the highest first, to the front of object_peak; returns how many. */
static int32_t peaks_of(const qk_field *f, qk_blend *b) {
    int32_t n = 0;
    for (int64_t k = 0; k < b->n; k++)
        if (is_peak(f, b->pixels[k])) push(f, b, n++, (int32_t)k);
    for (int32_t i = 0; i < n; i++) {
        b->object_peak[i] = b->heap[0];
        b->heap[0] = b->heap[n - 1 - i];
        sift_down(f, b, n - 1 - i);
    }
    return n;
}

/* Peaks of the objects, the highest first, to the front of object_peak. */
static void take_peaks(const qk_field *f, qk_blend *b, const qk_part *whole) {
    int32_t n = 0;
    for (int32_t k = whole->first_object; n < whole->n_objects; k = b->next_object[k]) b->heap[n++] = b->object_peak[k];
    for (int32_t i = 1; i < n; i++) { /* few: insertion sort */
        int32_t peak = b->heap[i], j = i;
        for (; j > 0 && higher(f, b, peak, b->heap[j - 1]); j--) b->heap[j] = b->heap[j - 1];
        b->heap[j] = peak;
    }
    memcpy(b->object_peak, b->heap, (size_t)n * sizeof *b->heap);
    b->n_peaks = n;
}

void qk_deblend(const qk_field *f, int32_t *pixels, int64_t n, qk_blend *b) {
    float peak = 0;
    double total = 0, height[QK_MAX_LEVELS + 1];
    b->pixels = pixels;
    b->n = n;
    b->n_peaks = 1;
    b->flags = n > b->capacity ? QK_FLAG_TOO_LARGE : 0;
    for (int64_t k = 0; k < n; k++) {
        float value = f->significance[pixels[k]];
        f->segments[pixels[k]] = (int32_t)k + 1;
        b->label[k] = 0;
        total += value;
        if (value > peak) peak = value;
    }
    if (f->levels < 2 || n < 2 * f->min_pixels || !many_summits(f, b)) return;
    int32_t peaks = n >= CROWD_PIXELS ? peaks_of(f, b) : 0;
    if (n > b->capacity ? peaks > 1 : peaks * PIXELS_A_PEAK > n) {
        b->flags = QK_FLAG_CROWD;
        b->n_peaks = peaks;
        flood(f, b);
        return;
    }
    if (n > b->capacity) return;
    heights_of(f, peak, height);
    sort_by_level(f, b, height);
    const qk_part *whole = build(f, b, height, f->contrast * total);
    if (whole->n_objects < 2) return;
    take_peaks(f, b, whole);
    flood(f, b);
}

static void add_pixel(const qk_field *f, int32_t pixel, qk_source *s) {
    int32_t x = (int32_t)(pixel % f->nx), y = (int32_t)(pixel / f->nx);
    double weight = f->significance[pixel];
    if (s->pixels == 0 || weight > s->peak) {
        s->peak = (float)weight;
        s->peak_x = x;
        s->peak_y = y;
    }
    if (s->pixels == 0) {
        s->x_min = s->x_max = x;
        s->y_min = s->y_max = y;
    }
    if (x < s->x_min) s->x_min = x;
    if (x > s->x_max) s->x_max = x;
    if (y > s->y_max) s->y_max = y;
    s->pixels++;
    if (isfinite(f->image[pixel])) s->flux += f->image[pixel];
    if (f->mask) s->planes |= f->mask[pixel];
}

void qk_measure_segments(const qk_field *f, const qk_blend *b, qk_source *sources, int32_t first) {
    for (int64_t k = 0; k < b->n; k++) add_pixel(f, b->pixels[k], sources + b->label[k]);
    /* Moments about the peak: no cancellation far from the origin. The fields hold sums until the end. */
    for (int64_t k = 0; k < b->n; k++) {
        qk_source *s = sources + b->label[k];
        double w = f->significance[b->pixels[k]];
        double x = (double)(b->pixels[k] % f->nx - s->peak_x), y = (double)(b->pixels[k] / f->nx - s->peak_y);
        s->weight += w;
        s->x += w * x;
        s->y += w * y;
        s->xx += w * x * x;
        s->yy += w * y * y;
        s->xy += w * x * y;
        f->segments[b->pixels[k]] = first + b->label[k] + 1;
    }
    for (int32_t i = 0; i < b->n_peaks; i++) {
        qk_source *s = sources + i;
        double x = s->x / s->weight, y = s->y / s->weight;
        s->xx = s->xx / s->weight - x * x;
        s->yy = s->yy / s->weight - y * y;
        s->xy = s->xy / s->weight - x * y;
        s->x = s->peak_x + x;
        s->y = s->peak_y + y;
        if (s->x_min == 0 || s->y_min == 0 || s->x_max == f->nx - 1 || s->y_max == f->ny - 1) s->flags |= QK_FLAG_EDGE;
    }
}
