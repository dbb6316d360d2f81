// Boxes of detected objects.
#include <cmath>
#include <limits>
#include <vector>
#include "autograd/back.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

// Columns of the boxes and their areas, so that one box is compared with many at once.
template <class T>
struct Boxes {
    std::vector<T> x1, y1, x2, y2, area;
    Boxes(const T* rows, int64_t n) : x1(size_t(n)), y1(size_t(n)), x2(size_t(n)), y2(size_t(n)), area(size_t(n)) {
        for (size_t i = 0; i < size_t(n); ++i) {
            x1[i] = rows[4 * i], y1[i] = rows[4 * i + 1], x2[i] = rows[4 * i + 2], y2[i] = rows[4 * i + 3];
            area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i]);
        }
    }
};

template <class T>
void suppress(const T* rows, int64_t n, double threshold, bool* keep) {
    const Boxes<T> b(rows, n);
    // The largest T that is not above the threshold: a T is above the one if and only if it is above the other.
    T limit = T(threshold);
    if (double(limit) > threshold) limit = std::nextafter(limit, -std::numeric_limits<T>::infinity());
    std::fill(keep, keep + n, true);
    for (int64_t i = 0; i < n; ++i) {
        if (!keep[i]) continue;
        const T x1 = b.x1[size_t(i)], y1 = b.y1[size_t(i)], x2 = b.x2[size_t(i)], y2 = b.y2[size_t(i)];
        const T area = b.area[size_t(i)];
        for (size_t j = size_t(i) + 1; j < size_t(n); ++j) {
            const T w = std::min(x2, b.x2[j]) - std::max(x1, b.x1[j]);
            const T h = std::min(y2, b.y2[j]) - std::max(y1, b.y1[j]);
            // Most boxes do not meet, and then there is nothing to divide.
            if (limit >= 0 && !(w > 0 && h > 0)) continue;
            const T common = std::max(T(0), w) * std::max(T(0), h);
            if (common / (area + b.area[j] - common) > limit) keep[j] = false;
        }
    }
}

Tensor box_suppress(const Tensor& boxes, double threshold) {
    check(boxes.dim() == 2 && boxes.sizes()[1] == 4, "boxes should be a 2d tensor with 4 elements in dimension 1, got ",
          boxes.sizes());
    const int64_t n = boxes.sizes()[0];
    Tensor keep = empty(Dims{n}, DType::b1, boxes.device());
    if (keep.is_meta()) return keep;
    const Tensor rows = op<"contiguous">(boxes);
    if (boxes.dtype() == DType::f64) suppress(rows.data<double>(), n, threshold, keep.data<bool>());
    else if (boxes.dtype() == DType::f32) suppress(rows.data<float>(), n, threshold, keep.data<bool>());
    else fail(ErrorKind::NotImplemented, "\"nms\" not implemented for '", boxes.dtype(), "'");
    return keep;
}

const Family boxes([](Registry& r) {
    // Which boxes [N, 4], the best first, remain when each removes the later ones that overlap it by more than that.
    r.add("_box_suppress(Tensor boxes, float iou_threshold) -> Tensor", "f").kernel<box_suppress>();
});

}  // namespace
}  // namespace fb
