#include "cpu/composed.h"
#include <algorithm>
#include <cstring>
#include <mutex>
#include <numeric>
#include <unordered_map>
#include "cpu/fold.h"
#include "cpu/order.h"
#include "cpu/vm.h"
#include "cpu/watch.h"

namespace fb::cpu {
namespace {

// Writes the program down while the formula runs on single elements.
class Recorder final : public Watcher {
public:
    explicit Recorder(std::span<const Tensor> in) : before_(watcher) {
        for (const Tensor& t : in) known_[t.get()] = value(t.dtype(), Reach::Full);
        chain.inputs = int(in.size());
        watcher = this;
    }
    ~Recorder() override { watcher = before_; }
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void born(const void*) override {}
    void item(const Tensor&, const Scalar&) override { fits = false; }
    void leak(const char*) override { fits = false; }
    void reshaped(const Tensor&, const Tensor&) override { fits = false; }
    void copied(const Tensor&, const Tensor&) override { fits = false; }
    void constant(const Tensor&) override {}
    void pointwise(const Pointwise& p, const Tensor& r) override {
        ChainStep s;
        s.loop = p.loop;
        for (size_t i = 0; i < p.inputs.size(); ++i) {
            const DType type = p.condition_first && i == 0 ? DType::b1 : p.common;
            const Operand& o = p.inputs[i];
            if (!o.is_tensor()) {
                s.from[i] = number(o.scalar(), type);
                continue;
            }
            const auto at = known_.find(o.tensor().get());
            if (at == known_.end()) return void(fits = false);
            s.from[i] = converted(at->second, type);
        }
        if (p.params) {
            s.params = int(chain.params.size());
            std::memcpy(chain.params.emplace_back().data(), p.params, size_t(p.param_bytes));
        }
        keep_.push_back(r);
        known_[r.get()] = step(s, p.result);
    }
    void finish(std::span<const Tensor> out) {
        for (const Tensor& t : out) {
            const auto at = known_.find(t.get());
            fits = fits && at != known_.end() && at->second >= chain.inputs;
            if (!fits) return;
            chain.outputs.push_back(at->second);
        }
        chain.finish();
    }

    Chain chain;
    bool fits = true;

private:
    int value(DType t, Reach r) {
        chain.values.push_back({t, r, -1});
        return int(chain.values.size()) - 1;
    }
    int step(ChainStep s, DType t) {
        s.to = value(t, Reach::Full);
        chain.steps.push_back(s);
        return s.to;
    }
    int number(const Scalar& s, DType t) {
        const int v = value(t, Reach::One);
        std::array<char, 16> bytes{};
        visit_dtype(t, [&](auto z) {
            const auto x = s.to<decltype(z)>();
            std::memcpy(bytes.data(), &x, sizeof x);
        });
        chain.constants.emplace_back(v, bytes);
        return v;
    }
    int converted(int v, DType t) {
        const DType from = chain.values[size_t(v)].dtype;
        if (from == t) return v;
        ChainStep s;
        s.loop = convert_loop(from, t);
        s.from[0] = v;
        return step(s, t);
    }

    Watcher* const before_;
    std::unordered_map<const TensorImpl*, int> known_;
    std::vector<Tensor> keep_;  // so that no address is used twice
};

struct Program {
    Formula formula;
    DType dtype;
    bool summed;
    std::vector<double> numbers;
    std::shared_ptr<const Chain> chain;  // null: the formula is not of elements alone

    bool is(Formula f, DType t, bool sum, std::initializer_list<double> n) const {
        return formula == f && dtype == t && summed == sum &&
               std::equal(n.begin(), n.end(), numbers.begin(), numbers.end());
    }
};

std::shared_ptr<const Chain> program(Formula f, std::span<const Tensor> in, std::initializer_list<double> numbers,
                                     size_t results, bool summed) {
    constexpr size_t kMost = 128;
    static std::mutex mutex;
    static std::vector<Program> programs;
    static size_t oldest = 0;
    const DType t = in[0].dtype();
    {
        const std::lock_guard lock(mutex);
        for (const Program& p : programs)
            if (p.is(f, t, summed, numbers)) return p.chain;
    }
    Program made{f, t, summed, numbers, nullptr};
    {
        Small<Tensor, 6> one;
        for (const Tensor& x : in) {
            one.push_back(empty(Dims{1}, x.dtype()));
            fill(one.back(), Scalar(0.5));
        }
        std::vector<Tensor> out(results);
        const GradGuard off(false);
        Recorder r(one.span());
        f(one.data(), made.numbers.data(), out.data());
        r.finish(out);
        if (r.fits) {
            if (summed) r.chain.sum_first_output();
            made.chain = std::make_shared<const Chain>(std::move(r.chain));
        }
    }
    const std::lock_guard lock(mutex);
    if (programs.size() < kMost) programs.push_back(made);
    else programs[oldest++ % kMost] = made;
    return made.chain;
}

// The program, if these tensors can be run through one. Who watches is shown the operators.
std::shared_ptr<const Chain> program_for(Formula f, std::span<const Tensor> in, std::initializer_list<double> numbers,
                                         size_t results, bool summed, Dims& sizes) {
    const DType t = in[0].dtype();
    if (watcher || (t != DType::f32 && t != DType::f64)) return nullptr;
    for (const Tensor& x : in)
        if (x.dtype() != t || x.device() != kCPU || x->layout != Layout::Strided || (tls.grad && x.requires_grad()))
            return nullptr;
    sizes = in[0].sizes();
    for (size_t i = 1; i < in.size(); ++i)
        if (!same(in[i].sizes(), sizes)) sizes = broadcast_shapes(sizes, in[i].sizes());
    if (!product(sizes)) return nullptr;
    return program(f, in, numbers, results, summed);
}

constexpr bool kNeverDies[8] = {};

// The inputs with their dimensions in the memory order that the result of one operator would have, where that is not
// their own order: so what lies transposed is read in a line too.
class Sorted {
public:
    Sorted(std::span<const Tensor> in, IntSpan sizes) : sizes_(sizes) {
        const auto plain = [](const Tensor& t) { return t->contiguous; };
        if (std::all_of(in.begin(), in.end(), plain)) return;
        Small<const TensorImpl*, 8> operands;
        for (const Tensor& t : in) {
            if (t->storage->image()) return;  // a view would take the image away
            operands.push_back(t.get());
        }
        strides_ = strides_as(operands.span(), sizes);
        Small<size_t, 6> order(sizes.size());
        std::iota(order.begin(), order.end(), size_t(0));
        const auto outer = [&](size_t a, size_t b) { return strides_[a] > strides_[b]; };
        if (std::is_sorted(order.begin(), order.end(), outer)) return;
        std::stable_sort(order.begin(), order.end(), outer);
        for (const Tensor& t : in) {
            const size_t lead = sizes.size() - t.sizes().size();
            Dims z, s;
            for (const size_t d : order) {
                z.push_back(d < lead ? 1 : t.sizes()[d - lead]);
                s.push_back(d < lead ? 0 : t.strides()[d - lead]);
            }
            views_.push_back(make_view(t, z, s, t->offset));
        }
        for (size_t k = 0; k < order.size(); ++k) sizes_[k] = sizes[order[k]];
    }
    bool changed() const { return !views_.empty(); }
    std::span<const Tensor> inputs(std::span<const Tensor> in) const { return changed() ? views_.span() : in; }
    IntSpan sizes() const { return sizes_; }
    void restore(const Tensor& result, IntSpan sizes) const {
        if (changed()) result->set_shape(sizes, strides_);
    }

private:
    Dims sizes_, strides_;
    Small<Tensor, 8> views_;
};

}  // namespace

void composed(Formula f, std::initializer_list<Tensor> in, std::initializer_list<double> numbers,
              std::span<Tensor> out) {
    Dims sizes;
    const std::span<const Tensor> inputs(in.begin(), in.size());
    if (const auto chain = program_for(f, inputs, numbers, out.size(), false, sizes)) {
        const Sorted sorted(inputs, sizes);
        run_chain(*chain, sorted.sizes(), sorted.inputs(inputs), std::span(kNeverDies).first(in.size()), out);
        for (const Tensor& t : out) sorted.restore(t, sizes);
        return;
    }
    f(in.begin(), numbers.begin(), out.data());
}

std::optional<double> composed_sum(Formula f, std::initializer_list<Tensor> in, std::initializer_list<double> numbers) {
    Dims sizes;
    const std::span<const Tensor> inputs(in.begin(), in.size());
    if (const auto chain = program_for(f, inputs, numbers, 1, true, sizes)) {
        const Sorted sorted(inputs, sizes);
        return sum_chain(*chain, sorted.sizes(), sorted.inputs(inputs));
    }
    return {};
}

}  // namespace fb::cpu
