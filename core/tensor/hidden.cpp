#include "tensor/hidden.h"
#include <atomic>
#include <cstring>
#include "base/parallel.h"
#include "base/pool.h"
#include "tensor/turn.h"

namespace fb {
namespace {

template <class T>
void turn(const T* from, int64_t from_row, T* to, int64_t to_row, int64_t ni, int64_t nj) {
    constexpr int64_t tile = 16;  // both sides stay in the nearest cache
    for (int64_t i0 = 0; i0 < ni; i0 += tile)
        for (int64_t j = 0; j < nj; ++j)
            for (int64_t i = i0; i < std::min(ni, i0 + tile); ++i) to[j * to_row + i] = from[i * from_row + j];
}

// One image of one sample and block: `inner` channels of it are real.
template <class T, bool to_plain>
void move_block(T* plain, T* blocked, int64_t spatial, int64_t inner, int64_t block) {
    const auto loop = [] {
        if constexpr (sizeof(T) == 4) return turn4;
        else return turn<T>;
    }();
    if constexpr (to_plain) loop(blocked, block, plain, spatial, spatial, inner);
    else loop(plain, spatial, blocked, block, inner, spatial);
}

template <class T, bool to_plain>
void move_all(const Image& image, T* plain) {
    T* data = static_cast<T*>(image.data);
    const int64_t spatial = image.spatial(), channels = image.channels();
    const int64_t block = image.order == Order::ChannelsLast ? channels : block_of(image.order);
    const int64_t blocks = (channels + block - 1) / std::max<int64_t>(1, block);
    // Channels-last is one block as wide as there are channels; it is walked in slices of 16 channels.
    const int64_t slice = std::min<int64_t>(block, 16), slices = (block + slice - 1) / std::max<int64_t>(1, slice);
    parallel_for(image.sizes[0] * blocks * slices, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, spatial * slice)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t n = i / (blocks * slices), b = i / slices % blocks,
                                       c = b * block + i % slices * slice;
                         move_block<T, to_plain>(plain + (n * channels + c) * spatial,
                                                 data + (n * blocks + b) * spatial * block + i % slices * slice,
                                                 spatial, std::min(slice, channels - c), block);
                     }
                 });
}

template <bool to_plain>
void move_elements(const Image& image, void* plain) {
    if (itemsize(image.dtype) == 4) move_all<uint32_t, to_plain>(image, static_cast<uint32_t*>(plain));
    else move_all<uint16_t, to_plain>(image, static_cast<uint16_t*>(plain));
}

// A storage's share of an image.
struct Share final : HiddenImage {
    explicit Share(Ptr<Image> image) : image_(std::move(image)) {}
    explicit Share(Ptr<Late> late) : late(std::move(late)) {}
    Image* image() {
        if (!late) return image_.get();
        if (!late->image) compute_waiting();
        check(bool(late->image), "a result that waited for the next operation could not be computed");
        return late->image.get();
    }
    void write_plain(void* destination) override { image()->write_plain(destination); }
    static void* operator new(size_t) { return Pool<sizeof(Share)>::take(); }
    static void operator delete(void* p) { Pool<sizeof(Share)>::give(p); }
    const Ptr<Late> late;

private:
    const Ptr<Image> image_;
};

std::atomic<int64_t> times_hidden{0}, times_revealed{0};

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

size_t image_bytes(IntSpan sizes, DType dtype, Order order) {
    return size_t(sizes[0] * round_up(sizes[1], block_of(order)) * product(sizes.subspan(2))) * itemsize(dtype);
}

}  // namespace

Turn4 turn4 = turn<uint32_t>;

Image::Image(IntSpan sizes, DType dtype, Order order)
    : sizes(sizes), dtype(dtype), order(order), data(cache_alloc(image_bytes(sizes, dtype, order))) {}

int64_t Image::padded_channels() const { return round_up(channels(), block_of(order)); }

void Image::write_plain(void* destination) {
    times_revealed.fetch_add(1, std::memory_order_relaxed);
    move_elements<true>(*this, destination);
}

// Equal up to spatial dimensions of size 1, which move no element: what unsqueeze and squeeze make is still the image.
static bool same_places(IntSpan a, IntSpan b) {
    if (same(a, b)) return true;
    if (a.size() < 3 || b.size() < 3 || a[0] != b[0] || a[1] != b[1]) return false;
    size_t i = 2, j = 2;
    while (true) {
        while (i < a.size() && a[i] == 1) ++i;
        while (j < b.size() && b[j] == 1) ++j;
        if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
        if (a[i++] != b[j++]) return false;
    }
}

Image* hidden_image(const Tensor& t) {
    HiddenImage* h = t->storage->image();
    if (!h || !t->contiguous || t->offset) return nullptr;
    Image* image = static_cast<Share*>(h)->image();  // the only kind there is
    return image->dtype == t->dtype && same_places(image->sizes, t->sizes) ? image : nullptr;
}

Ptr<Image> hold_image(const Tensor& t) { return hidden_image(t); }

Tensor pinned(const Tensor& t) {
    Image* i = hidden_image(t);
    if (!i) return t;
    Tensor r = TensorImpl::create();
    r->storage = Storage::hidden(std::make_unique<Share>(Ptr<Image>(i)), t->storage->nbytes());
    r->dtype = t->dtype;
    r->set_contiguous(t->sizes);
    return r;
}

Tensor make_late(IntSpan sizes, DType dtype, Ptr<Late> late) {
    Tensor t = TensorImpl::create();
    t->storage = Storage::hidden(std::make_unique<Share>(std::move(late)), size_t(product(sizes)) * itemsize(dtype));
    t->dtype = dtype;
    t->set_contiguous(sizes);
    return t;
}
Late* late_of(const Tensor& t) {
    HiddenImage* h = t->storage ? t->storage->image() : nullptr;
    return h && t->contiguous && !t->offset ? static_cast<Share*>(h)->late.get() : nullptr;
}

Tensor make_hidden(IntSpan sizes, DType dtype, Order order) {
    Tensor t = TensorImpl::create();
    t->storage = Storage::hidden(std::make_unique<Share>(Ptr<Image>(new Image(sizes, dtype, order))),
                                 size_t(product(sizes)) * itemsize(dtype));
    t->dtype = dtype;
    t->set_contiguous(sizes);
    return t;
}

void clear_filling(Image& image) {
    if (!image.padded()) return;
    const int64_t block = block_of(image.order), blocks = image.padded_channels() / block, spatial = image.spatial(),
                  size = int64_t(itemsize(image.dtype));
    const int64_t real = image.channels() - (blocks - 1) * block;
    for (int64_t n = 0; n < image.sizes[0]; ++n) {
        char* p = static_cast<char*>(image.data) + (n * blocks + blocks - 1) * spatial * block * size;
        for (int64_t s = 0; s < spatial; ++s)
            std::memset(p + (s * block + real) * size, 0, size_t((block - real) * size));
    }
}

Tensor hide(const Tensor& plain, Order order) {
    Tensor t = make_hidden(plain.sizes(), plain.dtype(), order);
    Image& image = *hidden_image(t);
    count_hidden();
    clear_filling(image);
    move_elements<false>(image, plain.data());
    return t;
}

Tensor hidden_clone(const Tensor& t) {
    const Ptr<Image> i = hold_image(t);
    if (!i) return {};
    Tensor r = make_hidden(t.sizes(), t.dtype(), i->order);
    char* to = static_cast<char*>(hidden_image(r)->data);
    const char* from = static_cast<const char*>(i->data);
    parallel_for(int64_t(i->bytes()), 1 << 17,
                 [&](int64_t b, int64_t e) { std::memcpy(to + b, from + b, size_t(e - b)); });
    return r;
}

void count_hidden() { times_hidden.fetch_add(1, std::memory_order_relaxed); }
HiddenCounts hidden_counts() {
    return {times_hidden.load(std::memory_order_relaxed), times_revealed.load(std::memory_order_relaxed)};
}

}  // namespace fb
