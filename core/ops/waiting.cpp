// One result at most waits in the process, with the results it was made from: the next call of any operator in any
// thread either prolongs it (`join`) or has it computed first, so nothing it is computed from can have been written.
// Reading its bytes in another way, letting an address escape and leaving the outermost module compute it too. See
// docs/design/hidden-layouts.md.
#include "ops/waiting.h"
#include <mutex>
#include "base/fork.h"
#include "base/parallel.h"
#include "cpu/images.h"
#include "cpu/iter.h"
#include "op/write_note.h"
#include "tensor/watch.h"

namespace fb {
namespace {

// How far a result goes, and where it is wanted; nowhere (null) if it was overwritten in place.
struct Stage {
    Ptr<Late> late;
    bool normed, added, limited;
    bool alive() const { return late && late->use_count() > 1; }  // a storage has it
};
struct Waiting {
    Answer all;
    Dims sizes;
    std::vector<Stage> stages;
};

std::mutex mutex;
std::unique_ptr<Waiting>& slot = *new std::unique_ptr<Waiting>;  // outlives whatever ends with the process
constinit thread_local bool computing = false;
int64_t joined = 0;

// Whoever has to wait lets others have the interpreter lock, which the thread that computes needs to come back.
class Locked {
public:
    Locked() : lock_(mutex, std::try_to_lock) {
        if (lock_.owns_lock()) return;
        const LongWork unlocked;
        lock_.lock();
    }

private:
    std::unique_lock<std::mutex> lock_;
};

// The state of the thread as an operator's kernel finds it, while this scope lives.
class Apart {
public:
    Apart() : modes_(tls.modes), watcher_(watcher) {
        computing = true;
        tls.modes = 0;
        watcher = nullptr;
    }
    ~Apart() {
        computing = false;
        tls.modes = modes_;
        watcher = watcher_;
        result_waits = false;
    }
    Apart(const Apart&) = delete;

private:
    const uint8_t modes_;
    Watcher* const watcher_;
    const GradGuard off_{false};
};

Ptr<Image> image_of(const Tensor& t) {
    Ptr<Image> i = hold_image(t);
    return i ? i : hold_image(hide(cpu::dense(t), cpu::preferred_order()));
}

// The first result somebody still has is computed in one pass, later ones from it. (Who keeps the result of every
// module in a variable has no gain, and no loss.)
void compute_stages(const Waiting& w) {
    Tensor r;
    Stage done{{}, false, false, false};
    for (const Stage& s : w.stages) {
        if (!s.alive()) continue;
        const Answer& a = w.all;
        if (!r.defined()) {
            Answer part = a;
            if (!s.normed) part.mean = part.var = part.norm_weight = part.norm_bias = Tensor();
            if (!s.added) part.other = Tensor();
            if (!s.limited) {
                part.low = -Answer::kEndless;
                part.high = Answer::kEndless;
            }
            r = answer(part);
        } else {
            if (s.normed && !done.normed)
                r = op<"batch_norm">(r, a.norm_weight, a.norm_bias, a.mean, a.var, false, 0.0, a.eps, true);
            if (s.added && !done.added) r = op<"add.Tensor">(r, a.other);
            if (s.limited && !done.limited) r = op<"clamp">(r, Scalar(a.low), Scalar(a.high));
        }
        s.late->image = image_of(r);
        done = s;
    }
}

void compute_slot() {  // locked
    if (!slot) return;
    const std::unique_ptr<Waiting> w = std::move(slot);
    const Apart apart;
    compute_stages(*w);
}
void compute() {
    if (computing) return;
    const Locked lock;
    compute_slot();
}

// A tensor of our own on the same bytes, undefined if these may change unseen.
bool keep(Tensor& t) {
    if (!t.defined()) return true;
    if (hidden_image(t)) {
        t = pinned(t);
        return true;
    }
    if (!t->storage->can_keep_derived()) return false;
    t = shallow_copy(t, false);
    return true;
}

struct Followers {
    const Op *batch_norm = &op_ref<"batch_norm">(), *add = &op_ref<"add.Tensor">(), *relu = &op_ref<"relu">(),
             *relu6 = &op_ref<"nn::relu6">(), *hardtanh = &op_ref<"nn::hardtanh">();
};

// Writes the parts that the call adds; false if it does something else.
bool prolong(const Op& o, const Value* args, Answer& a, Stage& s, const Waiting& w, const Late* last) {
    static const Followers ops;
    const auto waits = [&](const Value& v) {
        return v.is_tensor() && late_of(v.tensor()) == last && v.tensor().dtype() == DType::f32 &&
               !v.tensor()->unusual() && same(v.tensor().sizes(), w.sizes);
    };
    const auto limit = [&](double low, double high) {
        if (s.limited || !waits(args[0]) || !(low <= 0 && high >= 0 && low < high)) return false;
        a.low = low;
        a.high = high;
        return s.limited = true;
    };
    if (&o == ops.relu) return limit(0, Answer::kEndless);
    if (&o == ops.relu6) return limit(0, 6);
    if (&o == ops.hardtanh) return limit(args[1].real(), args[2].real());
    if (&o == ops.add) {
        if (s.added || s.limited || args[2].scalar().to<double>() != 1) return false;
        const int which = waits(args[0]) ? 0 : waits(args[1]) ? 1 : -1;
        if (which < 0 || !args[1 - which].is_tensor()) return false;
        const Tensor& other = args[1 - which].tensor();
        const Late* late = late_of(other);
        if (late && !late->image) return false;
        const Image* i = other->storage ? hidden_image(other) : nullptr;
        if (!i || i->dtype != DType::f32 || !same(i->sizes, w.sizes) || !same(other.sizes(), w.sizes)) return false;
        a.other = pinned(other);
        return s.added = true;
    }
    if (&o != ops.batch_norm || s.normed || s.added || s.limited || args[5].flag() || !waits(args[0])) return false;
    const auto tensor = [&](int i) { return args[i].is_tensor() ? args[i].tensor() : Tensor(); };
    Answer with = a;
    with.norm_weight = tensor(1);
    with.norm_bias = tensor(2);
    with.mean = tensor(3);
    with.var = tensor(4);
    with.eps = args[7].real();
    if (!with.mean.defined() || !(with.eps >= 0) || !in_one_pass(with)) return false;
    for (Tensor* t : {&with.norm_weight, &with.norm_bias, &with.mean, &with.var})
        if (!keep(*t)) return false;
    a = std::move(with);
    return s.normed = true;
}

bool join(const Op& o, Frame& f) {
    if (computing) return false;
    const Locked lock;
    if (!slot) return false;
    Stage s = slot->stages.back();
    const bool plain = !tls.modes && !watcher && !note_write && !o.only_inplace && (!f.given || f.inplace) &&
                       !(tls.grad && o.any_requires_grad(f.args));
    const bool own = !f.inplace || (f.args[0].is_tensor() && late_of(f.args[0].tensor()) == s.late.get());
    Answer longer = slot->all;
    if (!plain || !own || !prolong(o, f.args, longer, s, *slot, s.late.get())) {
        compute_slot();
        return false;
    }
    slot->all = std::move(longer);
    f.n = 1;
    if (f.inplace) {
        slot->stages.back().late = nullptr;
        f.result[0] = f.args[0].tensor();
        f.result[0]->bump_version();
    } else {
        s.late = Ptr<Late>(new Late);
        f.result[0] = make_late(slot->sizes, DType::f32, s.late);
    }
    slot->stages.push_back(std::move(s));
    ++joined;
    return true;
}

const bool installed = (compute_waiting = compute, join_waiting = join, hold_over_fork(mutex), true);

}  // namespace

int64_t joined_calls() {
    const Locked lock;
    return joined;
}

Tensor wait_for_more(const Answer& a) {
    if (computing || !tls.modules || tls.modes || watcher || note_write) return {};
    auto w = std::make_unique<Waiting>(Waiting{a, Dims{a.x.size(0), a.w.size(0)}, {}});
    for (Tensor* t :
         {&w->all.x, &w->all.w, &w->all.bias, &w->all.norm_weight, &w->all.norm_bias, &w->all.mean, &w->all.var})
        if (!keep(*t)) return {};
    for (size_t d = 0; d < a.stride.size(); ++d)
        w->sizes.push_back(
            (a.x.size(int64_t(d) + 2) + 2 * a.padding[d] - a.dilation[d] * (a.w.size(int64_t(d) + 2) - 1) - 1) /
                a.stride[d] +
            1);
    w->stages.push_back({Ptr<Late>(new Late), a.normed(), false, a.limited()});
    const Tensor r = make_late(w->sizes, DType::f32, w->stages.back().late);
    const Locked lock;
    compute_slot();  // another thread's
    slot = std::move(w);
    result_waits = true;
    return r;
}

}  // namespace fb
