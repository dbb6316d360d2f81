#include "runtime/tool/npy.h"
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace fb::tool {
namespace {

struct Kind {
    fb_dtype dtype;
    const char* name;
    size_t size;
};
constexpr Kind kinds[] = {{FB_BOOL, "b1", 1},      {FB_UINT8, "u1", 1},       {FB_INT8, "i1", 1},
                          {FB_INT16, "i2", 2},     {FB_INT32, "i4", 4},       {FB_INT64, "i8", 8},
                          {FB_UINT16, "u2", 2},    {FB_UINT32, "u4", 4},      {FB_UINT64, "u8", 8},
                          {FB_FLOAT16, "f2", 2},   {FB_FLOAT32, "f4", 4},     {FB_FLOAT64, "f8", 8},
                          {FB_COMPLEX64, "c8", 8}, {FB_COMPLEX128, "c16", 16}};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw std::runtime_error(path + ": " + why);
}

// The value of a key in the header, a Python dictionary: 'descr': '<f4', 'shape': (2, 3), …
std::string field(const std::string& path, const std::string& header, const std::string& key, const char* end) {
    const size_t at = header.find("'" + key + "':");
    if (at == header.npos) refuse(path, "its header has no " + key);
    const size_t from = header.find_first_not_of(' ', at + key.size() + 3);
    const size_t to = header.find_first_of(end, from == header.npos ? from : from + 1);
    if (to == header.npos) refuse(path, "its header is cut off");
    return header.substr(from + 1, to - from - 1);
}

}  // namespace

bool ends_with(const std::string& s, const std::string& end) {
    return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0;
}

fb_value* read_npy(const std::string& path) {
    static_assert(std::endian::native == std::endian::little);
    std::ifstream file(path, std::ios::binary);
    if (!file) refuse(path, "there is no such file");
    std::ostringstream read;
    read << file.rdbuf();
    const std::string all = std::move(read).str();
    if (all.size() < 10 || all.compare(0, 6, "\x93NUMPY") != 0) refuse(path, "this is no .npy file");
    const bool wide = all[6] >= 2;
    uint32_t length = 0;
    if (all.size() < 12) refuse(path, "it is cut off");
    std::memcpy(&length, &all[8], wide ? 4 : 2);
    const size_t start = wide ? 12 : 10;
    if (length > all.size() - start) refuse(path, "it is cut off");
    const std::string header = all.substr(start, length);
    const std::string descr = field(path, header, "descr", "'");
    const Kind* kind = nullptr;
    for (const Kind& k : kinds)
        if (descr.size() > 1 && (descr[0] == '<' || descr[0] == '|') && descr.substr(1) == k.name) kind = &k;
    if (!kind) refuse(path, "arrays of type '" + descr + "' cannot be read");
    const bool columns = field(path, header, "fortran_order", ",}") == "rue";  // its first letter is the quote's place
    std::vector<int64_t> sizes;
    std::istringstream shape(field(path, header, "shape", ")"));
    uint64_t count = 1;
    for (std::string part; std::getline(shape, part, ',');) {
        if (part.find_first_not_of(' ') == part.npos) continue;
        const long long n = std::atoll(part.c_str());
        if (n < 0 || (n && count > (uint64_t(1) << 48) / uint64_t(n))) refuse(path, "its shape is impossible");
        sizes.push_back(n);
        count *= uint64_t(n);
    }
    if (count > (all.size() - start - length) / kind->size) refuse(path, "it is cut off");
    std::vector<int64_t> strides(sizes.size(), 1);
    for (size_t i = 1; columns && i < sizes.size(); ++i) strides[i] = strides[i - 1] * sizes[i - 1];
    fb_error error;
    fb_value* made = fb_new_tensor(all.data() + start + length, kind->dtype, int(sizes.size()), sizes.data(),
                                   columns ? strides.data() : nullptr, &error);
    if (!made) refuse(path, error.message);
    return made;
}

void write_npy(const std::string& path, const fb_tensor& t) {
    const Kind* kind = nullptr;
    for (const Kind& k : kinds)
        if (k.dtype == t.dtype) kind = &k;
    if (!kind) refuse(path, "NumPy has no type for this tensor's (bfloat16?)");
    std::string shape;
    int64_t count = 1;
    for (int i = 0; i < t.dims; ++i) {
        shape += std::to_string(t.sizes[i]) + (t.dims == 1 ? "," : i + 1 < t.dims ? ", " : "");
        count *= t.sizes[i];
    }
    std::string header = std::string("{'descr': '") + (kind->size == 1 ? "|" : "<") + kind->name +
                         "', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.append(63 - (10 + header.size()) % 64, ' ');
    header += '\n';
    const auto length = uint16_t(header.size());
    std::ofstream file(path, std::ios::binary);
    file.write("\x93NUMPY\x01\x00", 8);
    file.write(reinterpret_cast<const char*>(&length), 2);
    file << header;
    std::vector<int64_t> at(size_t(t.dims), 0);
    for (int64_t k = 0; k < count; ++k) {  // element by element: results need not be row-major
        int64_t from = 0;
        for (int d = 0; d < t.dims; ++d) from += at[size_t(d)] * t.strides[d];
        file.write(static_cast<const char*>(t.data) + from * int64_t(kind->size), std::streamsize(kind->size));
        for (int d = t.dims; d-- && ++at[size_t(d)] == t.sizes[d];) at[size_t(d)] = 0;
    }
    file.flush();
    if (!file) refuse(path, "cannot be written");
}

}  // namespace fb::tool
