// Rows of a table, one by one or reduced in bags.
#include <algorithm>
#include <atomic>
#include <cmath>
#include "autograd/sparse_gradient.h"
#include "base/parallel.h"
#include "base/shown_type.h"
#include "cpu/bags.h"
#include "cpu/positions.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

void check_indices(const Tensor& indices, const char* who) {
    check(indices.dtype() == DType::i64 || indices.dtype() == DType::i32,
          "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got ",
          shown_type(indices.dtype()), " instead (while checking arguments for ", who, ")");
}
Tensor as_long(const Tensor& t) { return dense(t.dtype() == DType::i64 ? t : convert(t, DType::i64)); }

Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t, bool, bool) {
    check(weight.dim() == 2, "'weight' must be 2-D");
    check_indices(indices, "embedding");
    Dims sizes = indices.sizes();
    sizes.push_back(weight.sizes()[1]);
    const Tensor r = empty(sizes, weight.dtype(), weight.device());
    if (r.is_meta()) return r;
    const Tensor w = dense(weight), d = as_long(indices);
    const int64_t row = weight.sizes()[1] * int64_t(itemsize(w.dtype())), rows = weight.sizes()[0],
                  *index = d.data<int64_t>();
    for (int64_t i = 0; i < d.numel(); ++i) check_index(index[i] >= 0 && index[i] < rows, "index out of range in self");
    const char* from = w.data<char>();
    char* to = r.data<char>();
    parallel_for(d.numel(), std::max<int64_t>(1, 65536 / std::max<int64_t>(1, row)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) std::copy_n(from + index[i] * row, row, to + i * row);
    });
    return r;
}

Tensor embedding_backward(const Tensor& g, const Tensor& indices, int64_t rows, int64_t padding, bool by_frequency) {
    check_indices(indices, "embedding_dense_backward");
    check(g.dim() > 0 && rows >= 0 && g.numel() == indices.numel() * g.sizes().back(),
          "embedding_dense_backward: a gradient of size ", g.sizes(), " for ", indices.numel(), " indices");
    const int64_t width = g.sizes().back();
    const int64_t sizes[] = {rows, width};
    const Tensor r = op<"zeros">(IntSpan(sizes), g.dtype(), nullptr, g.device());
    if (r.is_meta() || g.numel() == 0) return r;
    const Tensor dg = dense(g), d = as_long(indices);
    const int64_t* index = d.data<int64_t>();
    for (int64_t i = 0; i < d.numel(); ++i)
        check_index(index[i] == padding || (index[i] >= 0 && index[i] < rows), "index out of range in self");
    std::vector<int64_t> count(by_frequency ? size_t(rows) : 0, 0);
    if (by_frequency)
        for (int64_t i = 0; i < d.numel(); ++i)
            if (index[i] != padding) ++count[size_t(index[i])];
    visit_dtype(g.dtype(), [&]<class T>(T) {
        if constexpr (!std::is_same_v<T, bool>) {
            const T* from = dg.data<T>();
            T* to = r.data<T>();
            // Threads share the columns, so that no two write to one place.
            const int64_t grain = std::max<int64_t>(16, 32768 / std::max<int64_t>(1, d.numel()));
            parallel_for(width, grain, [&](int64_t begin, int64_t end) {
                for (int64_t i = 0; i < d.numel(); ++i) {
                    if (index[i] == padding) continue;
                    T* row = to + index[i] * width;
                    const T* g_row = from + i * width;
                    if (by_frequency)
                        for (int64_t j = begin; j < end; ++j)
                            row[j] = T(row[j] + T(g_row[j] / T(float(count[size_t(index[i])]))));
                    else {
#pragma omp simd
                        for (int64_t j = begin; j < end; ++j) row[j] = T(row[j] + g_row[j]);
                    }
                }
            });
        }
    });
    return r;
}

// The gradient of a table as the rows it has: `g` at the indices, none at the padding (unless that is negative).
Tensor sparse_gradient(Tensor indices, Tensor g, int64_t padding, int64_t rows) {
    if (padding >= 0) {
        const Tensor kept = op<"squeeze.dim">(op<"nonzero">(op<"ne">(indices, Scalar(padding))), 1);
        indices = op<"index_select">(indices, 0, kept);
        g = op<"index_select">(g, 0, kept);
    }
    return sparse_rows(indices, g, rows);
}
Tensor embedding_gradient(Back& b) {
    if (b.flag(4)) {
        check(!b.flag(3), "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
        const int64_t flat[] = {-1}, rows[] = {-1, b.sizes(0)[1]};
        return sparse_gradient(op<"reshape">(b.arg(1), IntSpan(flat)), op<"reshape">(b.g, IntSpan(rows)), b.integer(2),
                               b.sizes(0)[0]);
    }
    return op<"embedding_dense_backward">(b.g, b.arg(1), b.sizes(0)[0], b.integer(2), b.flag(3));
}

// Rows longer than max_norm are scaled down to it.
Tensor embedding_renorm_(const Tensor& self, const Tensor& indices, double max_norm, double norm_type) {
    check(self.dim() == 2, "'self' must be 2-D");
    check_indices(indices, "embedding_renorm_");
    const Tensor d = as_long(indices);
    const int64_t width = self.sizes()[1], *index = d.data<int64_t>();
    std::vector<bool> done(size_t(self.sizes()[0]), false);
    visit_dtype(self.dtype(), [&]<class T>(T) {
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, BF16> ||
                      std::is_same_v<T, F16>) {
            for (int64_t i = 0; i < d.numel(); ++i) {
                check_index(index[i] >= 0 && index[i] < self.sizes()[0], "index out of range in self");
                if (done[size_t(index[i])]) continue;
                done[size_t(index[i])] = true;
                T* row = self.data<T>() + index[i] * self.strides()[0];
                double norm = 0;
                for (int64_t j = 0; j < width; ++j) {
                    const double v = std::abs(double(row[j * self.strides()[1]]));
                    norm = std::isinf(norm_type) ? std::max(norm, v) : norm + std::pow(v, norm_type);
                }
                if (!std::isinf(norm_type)) norm = std::pow(norm, 1 / norm_type);
                if (norm <= max_norm) continue;
                for (int64_t j = 0; j < width; ++j)
                    row[j * self.strides()[1]] = T(double(row[j * self.strides()[1]]) * (max_norm / (norm + 1e-7)));
            }
        }
    });
    self->bump_version();
    return self;
}

// ---------------------------------------------------------------- bags
enum Mode : int64_t { kSum, kMean, kMax };
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;

std::optional<int64_t> wrapped_padding(const std::optional<int64_t>& padding, int64_t rows) {
    if (!padding) return std::nullopt;
    check(*padding >= -rows && *padding < rows, "padding_idx must be within the number of embeddings, -", rows,
          " through ", rows - 1, ", but got ", *padding);
    return *padding < 0 ? *padding + rows : *padding;
}

// The largest value of each column among `n` rows of `w`, and whose row it is, into row `bag` of the results.
void largest_rows(const Tensor& w, const int64_t* at, int64_t n, int64_t padding, const Tensor& r,
                  const Tensor& largest, int64_t bag) {
    const int64_t width = w.sizes()[1];
    int64_t* const which = largest.data<int64_t>() + bag * width;
    visit_dtype(w.dtype(), [&]<class T>(T) {
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, BF16> ||
                      std::is_same_v<T, F16>) {
            T* const to = r.data<T>() + bag * width;
            bool any = false;
            for (int64_t i = 0; i < n; ++i) {
                if (at[i] == padding) continue;
                const T* const row = w.data<T>() + at[i] * width;
                for (int64_t j = 0; j < width; ++j) {
                    if (any && !(row[j] > to[j])) continue;
                    to[j] = row[j];
                    which[j] = at[i];
                }
                any = true;
            }
        }
    });
}

Four embedding_bag(const Tensor& weight, const Tensor& indices, const Tensor& offsets, bool, int64_t mode, bool,
                   const Tensor& scale, bool last_offset, std::optional<int64_t> padding_idx) {
    check(indices.dim() == 1, "input has to be a 1D Tensor, but got Tensor of dimension ", indices.dim());
    check(mode >= kSum && mode <= kMax, "`mode` must be sum, mean, or max.");
    check(offsets.dim() == 1, "offsets has to be a 1D Tensor, but got Tensor of dimension ", offsets.dim());
    check(weight.dim() == 2, "weight has to be a 2D Tensor, but got Tensor of dimension ", weight.dim());
    check_indices(indices, "embedding_bag");
    check_indices(offsets, "embedding_bag");
    if (scale.defined()) {
        check(mode == kSum, "embedding_bag: per_sample_weights only supported with mode='sum'");
        check(scale.dtype() == weight.dtype(),
              "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
              "'per_sample_weights'; but type ",
              shown_type(weight.dtype()), " does not equal ", shown_type(scale.dtype()),
              " (while checking arguments for embedding_bag)");
        constexpr const char* kMore =
            " to be true, but got false.  (Could this error message be improved?  If so, please report an enhancement "
            "request to PyTorch.)";
        check(scale.dim() == 1, "Expected per_sample_weights.value().dim() == 1", kMore);
        check(scale.numel() == indices.numel(), "Expected per_sample_weights.value().numel() == indices.numel()",
              kMore);
    }
    if (!is_floating(weight.dtype()) || is_float8(weight.dtype()))
        fail(ErrorKind::Runtime,
             "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, "
             "Float, Double; but got ",
             shown_type(weight.dtype()), " instead (while checking arguments for embedding_bag)");
    const int64_t rows = weight.sizes()[0], width = weight.sizes()[1], n = indices.numel();
    const auto padding = wrapped_padding(padding_idx, rows);
    const int64_t bags = offsets.numel() - (last_offset ? 1 : 0), sizes[] = {bags, width}, flat[] = {n},
                  per_bag[] = {bags}, none[] = {0};
    check(!last_offset || offsets.numel() >= 1, "include_last_offset: number of offset should be at least 1");
    check(bags >= 0, "include_last_offset: number of offset should be at least 1");
    const Tensor r = op<"zeros">(IntSpan(sizes), weight.dtype(), nullptr, weight.device());
    const Tensor bag_of = op<"zeros">(IntSpan(mode == kSum && !padding && weight.dtype() != DType::f64 ? none : flat),
                                      DType::i64, nullptr, weight.device());
    const Tensor size = op<"zeros">(IntSpan(per_bag), DType::i64, nullptr, weight.device());
    const Tensor largest = mode == kMax ? op<"zeros">(IntSpan(sizes), DType::i64, nullptr, weight.device())
                                        : op<"zeros">(IntSpan(per_bag), DType::i64, nullptr, weight.device());
    if (r.is_meta()) return {r, bag_of, size, largest};
    const Tensor w = dense(weight), di = as_long(indices), doff = as_long(offsets);
    const int64_t *index = di.data<int64_t>(), *start = doff.data<int64_t>();
    if (offsets.numel()) {
        check(start[0] == 0,
              "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
              "However, got ",
              start[0]);
        check(start[offsets.numel() - 1] <= n, "offsets[-1] can not be greater than input's length ", n,
              " but got offsets[-1] of ", start[offsets.numel() - 1]);
    }
    for (int64_t i = 1; i < offsets.numel(); ++i)
        check(
            start[i] >= start[i - 1] && start[i] <= n,
            "Expected i < index_size to be true, but got false.  (Could this error message be improved?  If so, "
            "please report an enhancement request to PyTorch.)\nOffsets may not fall, nor pass the number of indices, ",
            n, ": offsets[", i, "] is ", start[i], " after ", start[i - 1], ".");
    const Tensor ds =
        !scale.defined() ? scale : dense(is_low_precision(scale.dtype()) ? convert(scale, DType::f32) : scale);
    const char* const factors = scale.defined() ? ds.data<char>() : nullptr;
    int64_t* const of = bag_of.numel() ? bag_of.data<int64_t>() : nullptr;
    const SumBag sum = bag_loops().of(weight.dtype());
    const int64_t item = int64_t(itemsize(w.dtype()));
    constexpr int64_t kNearBytes = 16 << 10;
    const bool near = rows * width * item <= kNearBytes;
    const auto stop_of = [&](int64_t b) { return b + 1 < offsets.numel() ? start[b + 1] : n; };
    std::atomic<bool> valid{true};
    const bool runs = width == 1 && mode == kSum && factors && !padding && last_offset &&
                      (weight.dtype() == DType::f32 || weight.dtype() == DType::f64);
    const auto work = [&](int64_t begin, int64_t end) {
        if (runs) {  // a sparse matrix times a vector
            for (int64_t b = begin; of && b < end; ++b) std::fill(of + start[b], of + start[b + 1], b);
            const auto sums = item == 4 ? bag_loops().runs_f32 : bag_loops().runs_f64;
            if (!sums(w.data<char>(), rows, factors, index, start + begin, end - begin, r.data<char>() + begin * item))
                valid.store(false);
            return;
        }
        constexpr int64_t kChecked = 1024;  // indices at once: they are still near when their rows are added
        int64_t checked = begin < end ? start[begin] : 0;
        const int64_t last = begin < end ? stop_of(end - 1) : 0;
        for (int64_t b = begin; b < end; ++b) {
            const int64_t first = start[b], stop = stop_of(b);
            if (stop > checked) {
                const int64_t more = std::min(last, std::max(stop, checked + kChecked));
                if (!all_within(index + checked, more - checked, 0, rows)) return valid.store(false);
                checked = more;
            }
            if (of) std::fill(of + first, of + stop, b);
            const int64_t used =
                stop - first - (padding ? std::count(index + first, index + stop, *padding) : int64_t(0));
            if (mode == kMax) largest_rows(w, index + first, stop - first, padding.value_or(-1), r, largest, b);
            else
                sum({w.data<char>(), width, index + first, stop - first, near ? first - stop : checked - stop,
                     padding.value_or(-1), factors ? factors + first * int64_t(itemsize(ds.dtype())) : nullptr,
                     mode == kMean && used ? double(used) : 1., r.data<char>() + b * width * item});
            if (mode != kSum) size.data<int64_t>()[b] = used;
            if (mode == kMean && !last_offset) largest.data<int64_t>()[b] = used;
        }
    };
    // In parts of some ten thousand additions.
    const int64_t each = std::max<int64_t>(1, width * (n / std::max<int64_t>(1, bags)));
    parallel_for(bags, std::max<int64_t>(1, 32768 / each), work);
    const int64_t used = bags ? stop_of(bags - 1) : 0;
    for (int64_t i = valid && all_within(index + used, n - used, 0, rows) ? n : 0; i < n; ++i)
        check(index[i] >= 0 && index[i] < rows, "Index ", i, " of input takes value ", index[i],
              " which is not in the valid range [0, ", rows, ")");
    return {r, bag_of, size, largest};
}

// What the gradient of each index is divided by with scale_grad_by_freq.  PyTorch takes, for the k-th smallest of the
// different indices, the number of times that the k-th of all sorted indices occurs; so do we.
Tensor bag_frequency(const Tensor& indices, DType type) {
    const Tensor d = dense(indices);
    const int64_t n = d.numel(), flat[] = {n};
    std::vector<int64_t> sorted(d.data<int64_t>(), d.data<int64_t>() + n);
    std::sort(sorted.begin(), sorted.end());
    auto times = [&](int64_t v) {
        const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), v);
        return last - first;
    };
    std::vector<int64_t> different = sorted;
    different.erase(std::unique(different.begin(), different.end()), different.end());
    const Tensor r = empty(flat, DType::f64);
    for (int64_t i = 0; i < n; ++i) {
        const auto k = std::lower_bound(different.begin(), different.end(), d.data<int64_t>()[i]) - different.begin();
        r.data<double>()[i] = double(times(sorted[size_t(k)]));
    }
    return r.to(type);
}

// Written with operators on the bag of every index.
void bag_gradients(Back& b) {
    const Tensor indices = b.arg(1).to(DType::i64), offsets = b.arg(2).to(DType::i64), size = b.result(2),
                 largest = b.result(3), scale = b.arg(6);
    const int64_t mode = b.integer(4), rows = b.sizes(0)[0], n = indices.numel();
    const auto padding =
        wrapped_padding(b.attr(8).is_none() ? std::nullopt : std::optional<int64_t>(b.integer(8)), rows);
    if (mode == kMax) {
        const Tensor zero = op<"zeros">(b.sizes(0), b.g.dtype());
        return b.set(0, op<"scatter_add">(zero, 0, largest, op<"mul">(b.g, op<"unsqueeze">(op<"gt">(size, 0), 1))));
    }
    const int64_t flat[] = {n};
    const Tensor bags = empty(flat, DType::i64);
    {
        const Tensor d = dense(offsets);
        const int64_t* start = d.data<int64_t>();
        int64_t bag = -1;
        for (int64_t i = 0; i < n; ++i) {
            while (bag + 1 < b.g.sizes()[0] && start[bag + 1] <= i) ++bag;
            bags.data<int64_t>()[i] = bag;
        }
    }
    Tensor rows_g = op<"index_select">(b.g, 0, bags);
    if (mode == kMean)
        rows_g = rows_g / op<"unsqueeze">(op<"index_select">(op<"clamp_min">(size, 1), 0, bags).to(b.g.dtype()), 1);
    if (padding) rows_g = op<"mul">(rows_g, op<"unsqueeze">(op<"ne">(indices, *padding), 1));
    if (b.needs(6)) b.set(6, op<"sum.dim_IntList">(rows_g * op<"index_select">(b.arg(0), 0, indices), Dims{1}));
    if (b.needs(0)) {
        if (scale.defined()) rows_g = rows_g * op<"unsqueeze">(scale, 1);
        check(!b.flag(3) || !b.flag(5), "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
        if (b.flag(3)) rows_g = rows_g / op<"unsqueeze">(bag_frequency(indices, rows_g.dtype()), 1);
        b.set(0, b.flag(5) ? sparse_gradient(indices, rows_g, padding.value_or(-1), rows)
                           : op<"embedding_dense_backward">(rows_g, indices, rows, -1, false));
    }
}

Tensor one_hot(const Tensor& x, int64_t classes) {
    if (x.dtype() != DType::i64)
        fail(ErrorKind::Runtime, "one_hot is only applicable to index tensor of type LongTensor.");
    check(classes >= -1, "num_classes should be at least -1 or non-negative, got ", classes);
    const Tensor at = cpu::dense(x);
    int64_t most = -1;
    if (x.numel() && !x.is_meta()) {
        for (int64_t i = 0; i < at.numel(); ++i) {
            check(at.data<int64_t>()[i] >= 0, "Class values must be non-negative.");
            most = std::max(most, at.data<int64_t>()[i]);
        }
    } else {
        check(classes > 0, "Can not infer total number of classes from empty tensor.");
    }
    if (classes == -1) classes = most + 1;
    check(most < classes, "Class values must be smaller than num_classes.");
    Dims shape = x.sizes();
    shape.push_back(classes);
    Tensor r = empty(shape, DType::i64, x.device());
    cpu::fill(r, 0);
    if (r.is_meta()) return r;
    for (int64_t i = 0; i < at.numel(); ++i) r.data<int64_t>()[i * classes + at.data<int64_t>()[i]] = 1;
    return r;
}

const Family family([](Registry& r) {
    r.add(
         "embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool "
         "sparse=False) -> Tensor",
         "f")
        .kernel<embedding>()
        .grad("weight", "indices", embedding_gradient);
    r.add(
         "embedding_dense_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool "
         "scale_grad_by_freq) -> Tensor",
         "")
        .kernel<embedding_backward>()
        .grad("grad_output", "indices", [](Back& b) {
            const Tensor indices = b.arg(1), r = op<"embedding">(b.g, indices, b.integer(3));
            Tensor g = b.integer(3) >= 0 ? op<"mul">(r, op<"unsqueeze">(op<"ne">(indices, b.integer(3)), -1)) : r;
            if (!b.flag(4)) return g;
            const Tensor count = op<"bincount">(op<"reshape">(indices, Dims{-1}), nullptr, b.integer(2));
            return g / op<"unsqueeze">(op<"reshape">(op<"index_select">(count, 0, op<"reshape">(indices, Dims{-1})),
                                                     indices.sizes())
                                           .to(g.dtype()),
                                       -1);
        });
    r.add("embedding_renorm_(Tensor(a!) self, Tensor indices, float max_norm, float norm_type) -> Tensor(a!)", "f")
        .kernel<embedding_renorm_>();
    r.add(
         "embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool "
         "sparse=False, "
         "Tensor? per_sample_weights=None, bool include_last_offset=False, int? padding_idx=None) -> (Tensor, Tensor, "
         "Tensor, Tensor)",
         "f")
        .kernel<embedding_bag>()
        .differentiable_results(1)
        .grads("weight, per_sample_weights", "weight, indices, offsets, per_sample_weights, result2, result3",
               bag_gradients);
    r.add("nn::one_hot(Tensor self, int num_classes=-1) -> Tensor", "f").kernel<one_hot>();
});

}  // namespace
}  // namespace fb
