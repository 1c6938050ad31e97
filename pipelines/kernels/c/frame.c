/* The frame that measurements share. */
#include "frame.h"

int qk_check_frame(const qk_frame *f) {
    if (qk_check_shape(f->ny, f->nx)) return QK_BAD_ARGUMENT;
    if (!f->variance && !(f->noise >= 0 && isfinite(f->noise))) return qk_fail(QK_BAD_ARGUMENT, "a noise of %g", f->noise);
    if (!(f->gain >= 0) || !isfinite(f->gain)) return qk_fail(QK_BAD_ARGUMENT, "a gain of %g", f->gain);
    return QK_OK;
}

qk_box qk_box_of(const qk_frame *f, double x, double y, double half_x, double half_y) {
    qk_box box = {0, 0, 0, 0, true};
    if (!isfinite(x) || !isfinite(y) || !(half_x < 1e9) || !(half_y < 1e9) || fabs(x) > 1e9 || fabs(y) > 1e9) return box;
    box.x0 = (int64_t)ceil(x - half_x);
    box.y0 = (int64_t)ceil(y - half_y);
    box.x1 = (int64_t)floor(x + half_x) + 1;
    box.y1 = (int64_t)floor(y + half_y) + 1;
    box.cut = box.x0 < 0 || box.y0 < 0 || box.x1 > f->nx || box.y1 > f->ny;
    if (box.x0 < 0) box.x0 = 0;
    if (box.y0 < 0) box.y0 = 0;
    if (box.x1 > f->nx) box.x1 = f->nx;
    if (box.y1 > f->ny) box.y1 = f->ny;
    return box;
}
