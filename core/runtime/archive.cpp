#include "runtime/archive.h"
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include "base/crc32.h"
#include "base/error.h"

namespace fb::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they lie");

[[noreturn]] void damaged(const char* what) {
    fail(ErrorKind::Runtime, "PytorchStreamReader failed reading zip archive: ", what);
}

// Numbers of a piece of the file.
class Fields {
public:
    explicit Fields(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    template <class T>
    T take() {
        T v;
        const auto from = skip(sizeof v);
        std::memcpy(&v, from.data(), sizeof v);
        return v;
    }
    std::span<const uint8_t> skip(size_t n) {
        if (n > bytes_.size()) damaged("it is cut off");
        const auto taken = bytes_.first(n);
        bytes_ = bytes_.subspan(n);
        return taken;
    }
    size_t left() const { return bytes_.size(); }

private:
    std::span<const uint8_t> bytes_;
};

// ---------------------------------------------------------------- deflate
class Bits {
public:
    explicit Bits(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    uint32_t take(int n) {
        uint32_t v = 0;
        for (int i = 0; i < n; ++i) v |= bit() << i;
        return v;
    }
    uint32_t bit() {
        if (at_ >= bytes_.size()) damaged("a compressed record is cut off");
        const uint32_t b = bytes_[at_] >> used_ & 1;
        if (++used_ == 8) used_ = 0, ++at_;
        return b;
    }
    std::span<const uint8_t> bytes(size_t n) {  // whole ones, from the next boundary
        if (used_) used_ = 0, ++at_;
        if (n > bytes_.size() - at_) damaged("a compressed record is cut off");
        at_ += n;
        return bytes_.subspan(at_ - n, n);
    }

private:
    std::span<const uint8_t> bytes_;
    size_t at_ = 0;
    int used_ = 0;
};

// A canonical Huffman code: how many symbols have each length, and the symbols in order.
class Code {
public:
    explicit Code(std::span<const uint8_t> lengths) {
        for (uint8_t n : lengths) ++count_[n];
        count_[0] = 0;
        std::array<int, 17> first{};
        int room = 1;
        for (size_t n = 1; n < 16; ++n) {
            room = 2 * room - count_[n];
            if (room < 0) damaged("a compressed record has an impossible code");
            first[n + 1] = first[n] + count_[n];
        }
        symbols_.resize(lengths.size());
        for (size_t s = 0; s < lengths.size(); ++s)
            if (lengths[s]) symbols_[size_t(first[lengths[s]]++)] = uint16_t(s);
    }
    uint32_t read(Bits& in) const {
        int code = 0, first = 0, index = 0;
        for (size_t n = 1; n < 16; ++n) {
            code |= int(in.bit());
            if (code - count_[n] < first) return symbols_[size_t(index + code - first)];
            index += count_[n];
            first = (first + count_[n]) << 1;
            code <<= 1;
        }
        damaged("a compressed record has an unknown code");
    }

private:
    std::array<int, 16> count_{};
    std::vector<uint16_t> symbols_;
};

std::pair<Code, Code> read_codes(Bits& in) {
    static constexpr uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const uint32_t literals = in.take(5) + 257, distances = in.take(5) + 1, given = in.take(4) + 4;
    std::array<uint8_t, 19> small{};
    for (uint32_t i = 0; i < given; ++i) small[order[i]] = uint8_t(in.take(3));
    const Code lengths_code(small);
    std::vector<uint8_t> lengths;
    while (lengths.size() < literals + distances) {
        const uint32_t s = lengths_code.read(in);
        if (s < 16) lengths.push_back(uint8_t(s));
        else if (s == 16 && lengths.empty()) damaged("a compressed record repeats nothing");
        else
            lengths.insert(lengths.end(),
                           s == 16   ? 3 + in.take(2)
                           : s == 17 ? 3 + in.take(3)
                                     : 11 + in.take(7),
                           s == 16 ? uint8_t(lengths.back()) : uint8_t(0));
    }
    if (lengths.size() != literals + distances) damaged("a compressed record has too many codes");
    const std::span<const uint8_t> all = lengths;
    return {Code(all.first(literals)), Code(all.subspan(literals))};
}

std::pair<Code, Code> fixed_codes() {
    std::array<uint8_t, 288> lengths;
    for (size_t i = 0; i < 288; ++i) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    std::array<uint8_t, 30> distances;
    distances.fill(5);
    return {Code(lengths), Code(distances)};
}

}  // namespace

Bytes inflate(std::span<const uint8_t> packed, size_t size) {
    Bits in(packed);
    Bytes out;
    bool last = false;
    while (!last) {
        last = in.bit();
        const uint32_t kind = in.take(2);
        if (kind == 3) damaged("a compressed record has an unknown block");
        if (kind == 0) {
            Fields head(in.bytes(4));
            const uint16_t n = head.take<uint16_t>(), inverse = head.take<uint16_t>();
            if (uint16_t(~n) != inverse) damaged("a compressed record is damaged");
            const auto stored = in.bytes(n);
            if (stored.size() > size - out.size()) damaged("a compressed record is longer than announced");
            out.insert(out.end(), stored.begin(), stored.end());
            continue;
        }
        const auto [literal, distance] = kind == 1 ? fixed_codes() : read_codes(in);
        for (uint32_t s; (s = literal.read(in)) != 256;) {
            if (s > 285) damaged("a compressed record has an unknown code");
            if (s < 256) {
                if (out.size() == size) damaged("a compressed record is longer than announced");
                out.push_back(uint8_t(s));
                continue;
            }
            const uint32_t k = s - 257, more = k < 8 || k == 28 ? 0 : (k - 4) / 4;
            const size_t length = k < 8 ? k + 3 : k == 28 ? 258 : ((4 + k % 4) << more) + 3 + in.take(int(more));
            const uint32_t d = distance.read(in), extra = d < 4 ? 0 : (d - 2) / 2;
            if (d > 29) damaged("a compressed record has an unknown code");
            const size_t back = d < 4 ? d + 1 : ((2 + d % 2) << extra) + 1 + in.take(int(extra));
            if (back > out.size()) damaged("a compressed record copies from before its start");
            if (length > size - out.size()) damaged("a compressed record is longer than announced");
            for (size_t i = 0; i < length; ++i) out.push_back(out[out.size() - back]);
        }
    }
    if (out.size() != size) damaged("a compressed record is shorter than announced");
    return out;
}

Bytes read_file(const std::string& path) {
    std::error_code failed;
    if (!std::filesystem::is_regular_file(path, failed))
        fail(ErrorKind::Value, "The provided filename ", path,
             std::filesystem::is_directory(path, failed) ? " is a directory" : " does not exist");
    const std::unique_ptr<FILE, int (*)(FILE*)> f(std::fopen(path.c_str(), "rb"), std::fclose);
    const auto size = std::filesystem::file_size(path, failed);
    check_value(f && !failed, "cannot open ", path);
    Bytes bytes(size);
    check_value(std::fread(bytes.data(), 1, size, f.get()) == size, "cannot read ", path);
    return bytes;
}

// The directory is at the end: fixed part, then records of names and places. Large files have a second, wider one.
Archive::Archive(Bytes file) : file_(std::move(file)) {
    const std::span<const uint8_t> all = file_;
    const size_t n = file_.size();
    size_t end = n;
    for (size_t back = 22; back <= n && back <= 22 + 65535; ++back)
        if (std::memcmp(&file_[n - back], "PK\5\6", 4) == 0) {
            end = n - back;
            break;
        }
    if (end == n) damaged("failed finding central directory");
    Fields tail(all.subspan(end + 10));
    uint64_t count = tail.take<uint16_t>(), size = tail.take<uint32_t>(), at = tail.take<uint32_t>();
    if (end >= 20 && std::memcmp(&file_[end - 20], "PK\6\7", 4) == 0) {
        const uint64_t wide = Fields(all.subspan(end - 12)).take<uint64_t>();
        if (wide > n || n - wide < 56 || std::memcmp(&file_[wide], "PK\6\6", 4)) damaged("its directory is damaged");
        Fields f(all.subspan(wide + 32));
        count = f.take<uint64_t>();
        size = f.take<uint64_t>();
        at = f.take<uint64_t>();
    }
    if (at > n || size > n - at) damaged("its directory lies outside of the file");
    Fields directory(all.subspan(at, size));
    for (uint64_t i = 0; i < count; ++i) {
        if (directory.take<uint32_t>() != 0x02014b50) damaged("its directory is damaged");
        directory.skip(4);
        const uint16_t flags = directory.take<uint16_t>(), method = directory.take<uint16_t>();
        directory.skip(4);
        Record r{};
        r.crc = directory.take<uint32_t>();
        r.packed = directory.take<uint32_t>();
        r.size = directory.take<uint32_t>();
        const uint16_t name_size = directory.take<uint16_t>(), extra_size = directory.take<uint16_t>(),
                       comment_size = directory.take<uint16_t>();
        directory.skip(8);
        uint64_t head = directory.take<uint32_t>();
        const auto name_bytes = directory.skip(name_size);
        Fields extra(directory.skip(extra_size));
        directory.skip(comment_size);
        while (extra.left() >= 4) {
            const uint16_t id = extra.take<uint16_t>(), bytes = extra.take<uint16_t>();
            Fields wide(extra.skip(bytes));
            if (id != 1) continue;
            if (r.size == 0xffffffff) r.size = wide.take<uint64_t>();
            if (r.packed == 0xffffffff) r.packed = wide.take<uint64_t>();
            if (head == 0xffffffff) head = wide.take<uint64_t>();
        }
        if (flags & 1 || (method != 0 && method != 8)) damaged("a record is packed in a way that is not known");
        r.deflated = method == 8;
        if (head > n) damaged("a record lies outside of the file");
        Fields local(all.subspan(head));
        if (local.take<uint32_t>() != 0x04034b50) damaged("a record has no head");
        local.skip(22);
        const size_t names = local.take<uint16_t>();
        local.skip(names + local.take<uint16_t>());
        r.at = n - local.left();
        if (r.packed > local.left()) damaged("a record lies outside of the file");
        // Deflate makes no more than 1032 bytes of one.
        if (r.deflated ? r.size / 1032 > r.packed : r.size != r.packed) damaged("a record has two sizes");
        const std::string name(name_bytes.begin(), name_bytes.end());
        records_[name.substr(std::min(name.size(), name.find('/') + 1))] = r;
    }
}

Bytes Archive::read(const std::string& record) const {
    const auto found = records_.find(record);
    check(found != records_.end(), "PytorchStreamReader failed locating file ", record, ": file not found");
    const Record& r = found->second;
    const auto packed = std::span<const uint8_t>(file_).subspan(r.at, r.packed);
    Bytes content = r.deflated ? inflate(packed, r.size) : Bytes(packed.begin(), packed.end());
    if (crc32(content) != r.crc) damaged(("failed reading file " + record + ": its check sum is wrong").c_str());
    return content;
}
std::string Archive::read_text(const std::string& record) const {
    const Bytes b = read(record);
    return {b.begin(), b.end()};
}
std::vector<std::string> Archive::records(const std::string& prefix) const {
    std::vector<std::string> names;
    for (auto i = records_.lower_bound(prefix); i != records_.end() && i->first.starts_with(prefix); ++i)
        names.push_back(i->first);
    return names;
}

}  // namespace fb::runtime
