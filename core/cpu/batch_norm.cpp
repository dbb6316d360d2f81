#include "cpu/batch_norm.h"
#include "base/parallel.h"

namespace fb::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements worth a thread

// What is walked: in the plain layout runs (sample, channel), otherwise pieces of rows of one block.
struct Piece {
    int64_t offset;   // elements
    int64_t channel;  // the first one
    int64_t rows;
};
struct Pieces {
    const ChannelLayout& l;
    int64_t width;                    // groups of channels that are meant
    int64_t per_block = 1, rows = 0;  // a block's rows are cut so that there is work for all threads
    int64_t count = 0;

    explicit Pieces(const ChannelLayout& l) : l(l), width((l.whole() ? l.groups() : l.upto) - l.from) {
        const int64_t groups = l.samples * width;
        if (!l.block) {
            count = groups;
            return;
        }
        per_block = groups >= 4 * num_threads()
                        ? 1
                        : std::max<int64_t>(1, std::min<int64_t>(8 * num_threads(), l.spatial * l.block / kGrain));
        rows = (l.spatial + per_block - 1) / per_block;
        count = groups * per_block;
    }
    Piece operator[](int64_t i) const {
        const int64_t group = i / per_block, from = i % per_block * rows, block = l.from + group % width,
                      at = (group / width * l.groups() + block) * l.spatial;
        if (!l.block) return {at, block, 0};
        return {(at + from) * l.block, block * l.block, std::max<int64_t>(0, std::min(rows, l.spatial - from))};
    }
    int64_t grain() const {
        return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, l.block ? rows * l.block : l.spatial));
    }
};

// body(piece, first, second) adds to the sums of the piece's channels; every thread has sums of its own.
template <class F>
void add_up(const ChannelLayout& l, TwoSums& total, F&& body) {
    const Pieces pieces(l);
    const int64_t most = l.whole() ? (pieces.count + pieces.grain() - 1) / pieces.grain() : 1;
    const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(num_threads(), most)), n = l.padded();
    if (parts == 1) {
        for (int64_t i = 0; i < pieces.count; ++i) body(pieces[i], total.first.data(), total.second.data());
        return;
    }
    std::vector<double> sums(size_t(parts * 2 * n), 0);
    parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part) {
            double* first = sums.data() + part * 2 * n;
            const int64_t stop = pieces.count * (part + 1) / parts;
            for (int64_t i = pieces.count * part / parts; i < stop; ++i) body(pieces[i], first, first + n);
        }
    });
    for (int64_t part = 0; part < parts; ++part)
        for (int64_t c = 0; c < n; ++c) {
            total.first[size_t(c)] += sums[size_t(part * 2 * n + c)];
            total.second[size_t(c)] += sums[size_t(part * 2 * n + n + c)];
        }
}
template <class F>
void each_piece(const ChannelLayout& l, F&& body) {
    const Pieces pieces(l);
    parallel_for(pieces.count, pieces.grain(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) body(pieces[i]);
    });
}
const char* at(const void* p, int64_t offset, size_t size) {
    return static_cast<const char*>(p) + offset * int64_t(size);
}
char* at(void* p, int64_t offset, size_t size) { return static_cast<char*>(p) + offset * int64_t(size); }

}  // namespace

ChannelLayout ChannelLayout::plain(IntSpan s) {
    const int64_t spatial = product(s.subspan(2));
    return spatial == 1 ? rows(s) : ChannelLayout{s[0], s[1], spatial};
}
ChannelLayout ChannelLayout::rows(IntSpan s) { return {1, s[1], s[0] * product(s.subspan(2)), s[1], 1}; }
ChannelLayout ChannelLayout::of(const Image& i) {
    if (i.order == Order::ChannelsLast) return rows(i.sizes);
    const int64_t block = block_of(i.order);
    return {i.sizes[0], i.channels(), i.spatial(), block, i.padded_channels() / block};
}

void channel_sums(const NormLoops& k, size_t size, const ChannelLayout& l, const void* x, const Numbers& shift,
                  TwoSums& sums) {
    add_up(l, sums, [&](const Piece& p, double* first, double* second) {
        if (l.block)
            return k.sums_rows(at(x, p.offset, size), p.rows, l.block, shift.data() + p.channel, first + p.channel,
                               second + p.channel);
        double out[2] = {0, 0};
        k.sums(at(x, p.offset, size), l.spatial, shift[size_t(p.channel)], out);
        first[p.channel] += out[0];
        second[p.channel] += out[1];
    });
}
void channel_dots(const NormLoops& k, size_t size, const ChannelLayout& l, const void* g, const void* x,
                  const Numbers& mean, TwoSums& sums) {
    add_up(l, sums, [&](const Piece& p, double* first, double* second) {
        if (l.block)
            return k.dots_rows(at(g, p.offset, size), at(x, p.offset, size), p.rows, l.block, mean.data() + p.channel,
                               first + p.channel, second + p.channel);
        double out[2] = {0, 0};
        k.dots(at(g, p.offset, size), at(x, p.offset, size), l.spatial, mean[size_t(p.channel)], out);
        first[p.channel] += out[0];
        second[p.channel] += out[1];
    });
}
void channel_scale(const NormLoops& k, size_t size, const ChannelLayout& l, const void* x, void* y, const Numbers& a,
                   const Numbers& b) {
    each_piece(l, [&](const Piece& p) {
        const size_t c = size_t(p.channel);
        if (l.block) k.scale_rows(at(x, p.offset, size), at(y, p.offset, size), p.rows, l.block, &a[c], &b[c]);
        else k.scale(at(x, p.offset, size), at(y, p.offset, size), l.spatial, a[c], b[c]);
    });
}
void channel_combine(const NormLoops& k, size_t size, const ChannelLayout& l, const void* g, const void* x, void* out,
                     const Numbers& a, const Numbers& b, const Numbers& c) {
    each_piece(l, [&](const Piece& p) {
        const size_t i = size_t(p.channel);
        if (l.block)
            k.combine_rows(at(g, p.offset, size), at(x, p.offset, size), at(out, p.offset, size), p.rows, l.block,
                           &a[i], &b[i], &c[i]);
        else
            k.combine(at(g, p.offset, size), at(x, p.offset, size), at(out, p.offset, size), l.spatial, a[i], b[i],
                      c[i]);
    });
}

void each_part(const ChannelLayout& l, size_t bytes, const std::function<void(const ChannelLayout&)>& body) {
    constexpr int64_t kOwnCache = 896 << 10;
    const int64_t groups = l.groups(), threads = num_threads(), elements = l.count() * l.width(),
                  group_bytes = elements * int64_t(bytes);
    if (!l.block || group_bytes > kOwnCache || (groups % threads && groups < 4 * threads)) return body(l);
    const int64_t step = kOwnCache / std::max<int64_t>(1, group_bytes);
    parallel_for(groups, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, elements)),
                 [&](int64_t begin, int64_t end) {
                     for (ChannelLayout part = l; begin < end; begin = part.upto) {
                         part.from = begin;
                         part.upto = std::min(end, begin + step);
                         body(part);
                     }
                 });
}

}  // namespace fb::cpu
