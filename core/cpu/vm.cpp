#include "cpu/vm.h"
#include <cstring>
#include "base/parallel.h"
#include "tensor/allocator.h"
#include "cpu/images.h"

namespace fb::cpu {

constexpr int64_t kBlock = 1024;  // elements: a handful of registers fit the first cache

void Chain::finish() {
    last_read.assign(values.size(), -1);
    written_by.assign(values.size(), -1);
    output_of.assign(values.size(), -1);
    std::vector<bool> constant(values.size());
    for (const auto& [v, bytes] : constants) constant[size_t(v)] = true;
    for (size_t i = 0; i < outputs.size(); ++i) output_of[size_t(outputs[i])] = int(i);
    for (size_t s = 0; s < steps.size(); ++s) {
        written_by[size_t(steps[s].to)] = int(s);
        for (int v : steps[s].from)
            if (v >= 0) last_read[size_t(v)] = int(s);
    }
    if (summed >= 0) last_read[size_t(summed)] = int(steps.size());
    repeated.clear();
    for (const auto& [v, bytes] : constants) {
        const size_t item = itemsize(values[size_t(v)].dtype);
        std::vector<char> block(size_t(kBlock) * item);
        for (size_t i = 0; i < block.size(); i += item) std::memcpy(block.data() + i, bytes.data(), item);
        repeated.push_back(std::move(block));
    }
    widest = 1;
    for (const ChainValue& v : values) widest = std::max(widest, itemsize(v.dtype));
    rows = std::any_of(values.begin(), values.end(), [](const ChainValue& v) { return v.reach == Reach::Row; });
    std::vector<int> free;
    registers = 0;
    for (size_t s = 0; s < steps.size(); ++s) {
        const size_t to = size_t(steps[s].to);
        // A loop may write over an operand, element by element; a fold and a spread may not.
        std::vector<int> released;
        for (int v : steps[s].from)
            if (v >= 0 && last_read[size_t(v)] == int(s) && values[size_t(v)].reg >= 0 &&
                std::find(released.begin(), released.end(), values[size_t(v)].reg) == released.end())
                released.push_back(values[size_t(v)].reg);
        const bool alone = steps[s].fold || steps[s].spread || steps[s].by_row;
        if (!alone) free.insert(free.end(), released.begin(), released.end());
        if (output_of[to] < 0) {
            if (free.empty()) {
                values[to].reg = registers++;
            } else {
                values[to].reg = free.back();
                free.pop_back();
            }
        }
        if (alone) free.insert(free.end(), released.begin(), released.end());
    }
}

void Chain::sum_first_output() {
    summed = outputs.at(0);
    outputs.clear();
    finish();
}

namespace {

enum class Access : uint8_t { Flat, Single, Strided, Copied };

struct Source {  // an input over the merged dimensions
    char* ptr;
    int64_t item;
    Small<int64_t, 6> strides;  // bytes
    Access access = Access::Strided;
    bool every_block = false;  // Copied, and the same for each block
    int reg = -1;
    Loop copy = nullptr;
};

struct Layout {
    Small<int64_t, 6> sizes;  // merged; the last is the row
    int64_t rows = 1, columns = 1, block_rows = 1, block_columns = 1;
};

void align_strides(Source& s, const TensorImpl& t, IntSpan sizes) {
    const size_t lead = sizes.size() - t.sizes.size();
    s.strides.resize(sizes.size(), 0);
    for (size_t d = 0; d < t.sizes.size(); ++d) s.strides[lead + d] = t.sizes[d] == 1 ? 0 : t.strides[d] * s.item;
}

// Joins neighbouring dimensions that every input walks through in one stride.
void merge(Layout& l, std::span<Source> sources, bool keep_last) {
    auto& z = l.sizes;
    if (z.empty()) {
        z.push_back(1);
        for (Source& s : sources) s.strides.push_back(0);
    }
    for (size_t d = z.size(); d-- > 0;) {
        if (z[d] != 1 || z.size() == 1 || (keep_last && d + 1 == z.size())) continue;
        z.erase(d);
        for (Source& s : sources) s.strides.erase(d);
    }
    for (size_t d = z.size() - 1; d-- > 0;) {
        if (keep_last && d + 2 == z.size()) continue;
        bool ok = true;
        for (const Source& s : sources) ok = ok && s.strides[d] == s.strides[d + 1] * z[d + 1];
        if (!ok) continue;
        z[d] *= z[d + 1];
        z.erase(d + 1);
        for (Source& s : sources) {
            s.strides[d] = s.strides[d + 1];
            s.strides.erase(d + 1);
        }
    }
    l.columns = z.back();
    l.rows = product(IntSpan(z).first(z.size() - 1));
}

void choose_blocks(Layout& l, bool whole_rows) {
    const int64_t c = std::max<int64_t>(l.columns, 1);
    l.block_columns = whole_rows || (l.rows > 1 && c <= kBlock) ? c : std::min(c, kBlock);
    l.block_rows = std::clamp<int64_t>(kBlock / c, 1, std::max<int64_t>(l.rows, 1));
}

int64_t row_offset(const Source& s, const Layout& l, int64_t row) {
    int64_t at = 0;
    for (size_t d = l.sizes.size() - 1; d-- > 0;) {
        at += row % l.sizes[d] * s.strides[d];
        row /= l.sizes[d];
    }
    return at;
}

void classify(Source& s, const Layout& l, bool row_value) {
    const size_t k = l.sizes.size();
    const bool still = std::all_of(s.strides.begin(), s.strides.end(), [](int64_t v) { return v == 0; });
    if (row_value) {
        s.access = k <= 2 ? Access::Strided : Access::Copied;
        return;
    }
    if (still) {
        s.access = Access::Single;
        return;
    }
    bool flat = true;
    for (int64_t d = int64_t(k) - 1, step = s.item; d >= 0; step *= l.sizes[size_t(d)], --d)
        flat = flat && (s.strides[size_t(d)] == step || l.sizes[size_t(d)] == 1);
    if (flat) {
        s.access = Access::Flat;
        return;
    }
    s.access = l.block_rows > 1 ? Access::Copied : Access::Strided;
    s.every_block = s.access == Access::Copied &&
                    std::all_of(s.strides.begin(), s.strides.end() - 1, [](int64_t v) { return v == 0; });
}

struct Room {  // of one thread
    explicit Room(size_t bytes) : bytes(bytes), p(static_cast<char*>(cache_alloc(bytes))) {}
    ~Room() { cache_free(p, bytes); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    const size_t bytes;
    char* const p;
};

struct Run {
    const Chain& c;
    Layout l;
    Small<Source, 8> sources;
    Small<char*, 8> outputs;
    int registers = 0;
    double* sums = nullptr;  // one for each block, of the elements of Chain::summed

    void blocks(int64_t begin, int64_t end) const;
};

void copy_rows(const Source& s, const Layout& l, char* to, int64_t row, int64_t column, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; ++r) {
        char* p[2] = {to + r * columns * s.item, s.ptr + row_offset(s, l, row + r) + column * s.strides.back()};
        const int64_t st[2] = {s.item, s.strides.back()};
        s.copy(p, st, columns, nullptr);
    }
}

void Run::blocks(int64_t begin, int64_t end) const {
    const int64_t across = (l.columns + l.block_columns - 1) / l.block_columns;
    // The same element of two registers must not lie a multiple of 4096 bytes apart: a load would wait for the store.
    const size_t each = (size_t(l.block_rows * l.block_columns) * c.widest + 63) / 64 * 64 + 320;
    const Room room(each * size_t(std::max(registers, 1)));
    struct Place {
        char* p;
        int64_t stride;
    };
    Small<Place, 32> at;
    at.resize(c.values.size());
    for (size_t i = 0; i < c.constants.size(); ++i) {
        const auto& [v, bytes] = c.constants[i];
        const int64_t item = int64_t(itemsize(c.values[size_t(v)].dtype));
        // Loops are fastest on contiguous operands, so constants lie there repeated.
        if (l.block_rows * l.block_columns <= kBlock) at[size_t(v)] = {const_cast<char*>(c.repeated[i].data()), item};
        else at[size_t(v)] = {const_cast<char*>(bytes.data()), 0};
    }
    bool first = true;
    for (int64_t b = begin; b < end; ++b) {
        const int64_t row = b / across * l.block_rows, column = b % across * l.block_columns;
        const int64_t rows = std::min(l.block_rows, l.rows - row),
                      columns = std::min(l.block_columns, l.columns - column);
        const int64_t n = rows * columns;
        for (size_t i = 0; i < sources.size(); ++i) {
            const Source& s = sources[i];
            Place& p = at[i];
            if (c.values[i].reach == Reach::Row) {
                if (s.access == Access::Strided) {
                    const int64_t step = l.sizes.size() == 2 ? s.strides[0] : 0;
                    p = {s.ptr + row * step, step};
                } else {
                    p = {room.p + size_t(s.reg) * each, s.item};
                    for (int64_t r = 0; r < rows; ++r)
                        std::memcpy(p.p + r * s.item, s.ptr + row_offset(s, l, row + r), size_t(s.item));
                }
                continue;
            }
            switch (s.access) {
                case Access::Flat: p = {s.ptr + (row * l.columns + column) * s.item, s.item}; break;
                case Access::Single: p = {s.ptr, 0}; break;
                case Access::Strided:
                    p = {s.ptr + row_offset(s, l, row) + column * s.strides.back(), s.strides.back()};
                    break;
                case Access::Copied:
                    p = {room.p + size_t(s.reg) * each, s.item};
                    if (first || !s.every_block) copy_rows(s, l, p.p, row, column, rows, columns);
                    break;
            }
        }
        first = false;
        for (const ChainStep& s : c.steps) {
            const ChainValue& v = c.values[size_t(s.to)];
            const int64_t item = int64_t(itemsize(v.dtype));
            Place& to = at[size_t(s.to)];
            const bool row_value = v.reach == Reach::Row;
            const Place a = at[size_t(s.from[0])];
            if (const int o = c.output_of[size_t(s.to)]; o >= 0)
                to = {outputs[size_t(o)] + (row_value ? row : row * l.columns + column) * item, item};
            else to = {room.p + size_t(v.reg) * each, item};
            if (s.fold) {
                const int64_t from_item = int64_t(itemsize(c.values[size_t(s.from[0])].dtype));
                ReducePlan plan;
                plan.kept = plan.folded = 1;
                plan.kept_size[0] = plan.results = rows;
                plan.kept_stride[0] = a.stride ? columns * from_item : 0;
                plan.fold_size[0] = plan.length = columns;
                plan.fold_stride[0] = a.stride;
                s.fold(plan, a.p, to.p, 0, rows);
            } else if (s.spread) {
                // One row: its value is read where it lies, unless that register is given to another step.
                if (rows == 1 && c.output_of[size_t(s.to)] < 0 && c.values[size_t(s.from[0])].reg < 0) {
                    to = {a.p, 0};
                    continue;
                }
                const int64_t st[2] = {item, 0};
                for (int64_t r = 0; r < rows; ++r) {
                    char* p[2] = {to.p + r * columns * item, a.p + r * a.stride};
                    s.loop(p, st, columns, nullptr);
                }
            } else if (s.by_row) {
                int64_t st[5] = {item}, next[5] = {columns * item};  // of operands that are not there: nowhere
                char* p[5] = {to.p};
                for (int k = 0; k < 4 && s.from[size_t(k)] >= 0; ++k) {
                    const Place& q = at[size_t(s.from[size_t(k)])];
                    const bool row = c.values[size_t(s.from[size_t(k)])].reach == Reach::Row;
                    p[k + 1] = q.p;
                    st[k + 1] = row ? 0 : q.stride;
                    next[k + 1] = row ? q.stride : columns * q.stride;
                }
                const void* params = s.params < 0 ? nullptr : c.params[size_t(s.params)].data();
                for (int64_t r = 0; r < rows; ++r) {
                    s.loop(p, st, columns, params);
                    for (int k = 0; k < 5; ++k) p[k] += next[k];
                }
            } else {
                char* p[5] = {to.p};
                int64_t st[5] = {item};
                for (int k = 0; k < 4 && s.from[size_t(k)] >= 0; ++k) {
                    const Place& q = at[size_t(s.from[size_t(k)])];
                    p[k + 1] = q.p;
                    st[k + 1] = q.stride;
                }
                s.loop(p, st, row_value ? rows : n, s.params < 0 ? nullptr : c.params[size_t(s.params)].data());
            }
        }
        if (sums) {
            const Place& v = at[size_t(c.summed)];
            ReducePlan plan;
            plan.folded = 1;
            plan.fold_size[0] = plan.length = n;
            plan.fold_stride[0] = v.stride;
            fold_loop(Fold::sum, c.values[size_t(c.summed)].dtype)(plan, v.p, reinterpret_cast<char*>(sums + b), 0, 1);
        }
    }
}

bool float_only(const Chain& c) {
    for (const ChainValue& v : c.values)
        if (v.dtype != DType::f32 || v.reach == Reach::Row) return false;
    return true;
}

// Does the program make zero of zeros? Asked for the filling of images.
bool keeps_zero(const Chain& c, std::span<const Tensor> inputs, const Image& model) {
    Small<Tensor, 8> zeros;
    Small<Tensor, 4> results(c.outputs.size());
    const Small<bool, 8> dying(inputs.size(), false);
    for (const Tensor& t : inputs) {
        const bool whole = same(t.sizes(), model.sizes);
        zeros.push_back(whole ? scalar_tensor(Scalar(0.0), DType::f32) : t);
    }
    const Dims one{1};
    run_chain(c, one, zeros.span(), dying.span(), {results.data(), results.size()});
    return std::all_of(results.begin(), results.end(), [](const Tensor& t) { return *t.data<float>() == 0; });
}

// All on images of one order (see tensor/hidden.h), or not at all.
bool run_on_images(const Chain& c, IntSpan sizes, std::span<const Tensor> inputs, std::span<Tensor> outputs) {
    Ptr<Image> model;
    for (const Tensor& t : inputs)
        if (!model && t->storage->image()) model = hold_image(t);
    if (!model || !float_only(c) || !same(model->sizes, sizes)) return false;
    for (const Tensor& t : inputs) {
        if (t.numel() != 1 && !same(t.sizes(), sizes)) return false;
        if (t->storage->image() && !hidden_image(t)) return false;  // a view: reading it would take the image away
    }
    if (model->padded() && !keeps_zero(c, inputs, *model)) return false;
    Small<Ptr<Image>, 8> keep;
    Run run{c, {}, {}, {}};
    const Order order = model->order;
    const int64_t count = model->count();
    run.l.sizes.push_back(count);
    run.l.columns = count;
    for (const Tensor& t : inputs) {
        Source s{};
        s.item = 4;
        if (t.numel() == 1 && !same(t.sizes(), sizes)) {
            s.ptr = static_cast<char*>(t->data());
            s.strides.push_back(0);
        } else {
            keep.push_back(held_in(t, order));
            s.ptr = static_cast<char*>(keep.back()->data);
            s.strides.push_back(4);
        }
        run.sources.push_back(s);
    }
    choose_blocks(run.l, false);
    for (Source& s : run.sources) classify(s, run.l, false);
    for (size_t i = 0; i < outputs.size(); ++i) {
        outputs[i] = make_hidden(sizes, DType::f32, order);
        run.outputs.push_back(static_cast<char*>(hidden_image(outputs[i])->data));
    }
    run.registers = c.registers;
    const int64_t blocks = (count + run.l.block_columns - 1) / run.l.block_columns;
    parallel_for(blocks, 16, [&](int64_t b, int64_t e) { run.blocks(b, e); });
    return true;
}

// The memory of an input that dies here, for an output that is written after the last read of it.
Tensor reuse(const Chain& c, const Run& run, size_t output, std::span<const Tensor> inputs, std::span<const bool> dying,
             std::span<const Tensor> taken) {
    const int v = c.outputs[output];
    for (size_t i = 0; i < inputs.size(); ++i) {
        if (!dying[i] || run.sources[i].access != Access::Flat || c.values[i].reach != Reach::Full) continue;
        const TensorImpl& t = *inputs[i].get();
        if (t.dtype != c.values[size_t(v)].dtype || !t.contiguous || t.numel != run.l.rows * run.l.columns) continue;
        if (c.last_read[i] > c.written_by[size_t(v)] || c.values[size_t(v)].reach != Reach::Full) continue;
        if (std::any_of(taken.begin(), taken.end(),
                        [&](const Tensor& x) { return x.defined() && x->storage.get() == t.storage.get(); }))
            continue;
        return inputs[i];
    }
    return {};
}

}  // namespace

namespace {

Run prepared(const Chain& c, IntSpan sizes, std::span<const Tensor> inputs) {
    Run run{c, {}, {}, {}};
    run.l.sizes.assign(sizes);
    for (const Tensor& t : inputs) {
        Source s{};
        s.ptr = static_cast<char*>(t->data());
        s.item = int64_t(itemsize(t.dtype()));
        s.copy = convert_loop(t.dtype(), t.dtype());
        align_strides(s, *t.get(), sizes);
        run.sources.push_back(s);
    }
    merge(run.l, {run.sources.data(), run.sources.size()}, c.rows);
    choose_blocks(run.l, c.rows);
    run.registers = c.registers;
    for (size_t i = 0; i < run.sources.size(); ++i) {
        classify(run.sources[i], run.l, c.values[i].reach == Reach::Row);
        if (run.sources[i].access == Access::Copied) run.sources[i].reg = run.registers++;
    }
    return run;
}

int64_t block_count(const Layout& l) {
    return (l.rows + l.block_rows - 1) / l.block_rows * ((l.columns + l.block_columns - 1) / l.block_columns);
}
void run_blocks(const Run& run) {
    const int64_t elements = run.l.block_rows * run.l.block_columns;
    parallel_for(block_count(run.l), std::max<int64_t>(1, 32768 / (elements * int64_t(1 + run.c.steps.size() / 2))),
                 [&](int64_t b, int64_t e) { run.blocks(b, e); });
}

}  // namespace

void run_chain(const Chain& c, IntSpan sizes, std::span<const Tensor> inputs, std::span<const bool> dying,
               std::span<Tensor> outputs) {
    if (run_on_images(c, sizes, inputs, outputs)) return;
    Run run = prepared(c, sizes, inputs);
    Dims row_sizes(sizes);
    if (!row_sizes.empty()) row_sizes.back() = 1;
    for (size_t i = 0; i < outputs.size(); ++i) {
        const ChainValue& v = c.values[size_t(c.outputs[i])];
        Tensor old = reuse(c, run, i, inputs, dying, outputs.first(i));
        if (old.defined() && same(old.sizes(), sizes)) outputs[i] = std::move(old);
        else outputs[i] = empty(v.reach == Reach::Row ? IntSpan(row_sizes) : sizes, v.dtype);
        run.outputs.push_back(static_cast<char*>(outputs[i]->data()));
    }
    if (run.l.rows && run.l.columns) run_blocks(run);
}

double sum_chain(const Chain& c, IntSpan sizes, std::span<const Tensor> inputs) {
    Run run = prepared(c, sizes, inputs);
    if (!run.l.rows || !run.l.columns) return 0;
    std::vector<double> sums(size_t(block_count(run.l)));
    run.sums = sums.data();
    run_blocks(run);
    double r = 0;
    for (double s : sums) r += s;
    return r;
}

}  // namespace fb::cpu
