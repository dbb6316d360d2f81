#include "base/error.h"
#include <cstdio>
#include "base/devices.h"
#include "base/names.h"

namespace fb {

void Piece::append_to(std::string& s) const {
    switch (kind_) {
        case Kind::Text: s += text_; break;
        case Kind::Int: s += std::to_string(int_); break;
        case Kind::Unsigned: s += std::to_string(uint64_t(int_)); break;
        case Kind::Double: {
            char digits[32];
            s.append(digits, size_t(std::snprintf(digits, sizeof digits, "%g", double_)));
            break;
        }
        case Kind::List:
            s += '[';
            for (size_t i = 0; i < list_.size(); ++i) (s += i ? ", " : "") += std::to_string(list_[i]);
            s += ']';
            break;
        case Kind::Type: s += scalar_name(DType(int_)); break;
        case Kind::Device:
            s += device_name(device_->type);
            if (device_->index >= 0) (s += ':') += std::to_string(device_->index);
            break;
    }
}

std::string join(std::initializer_list<Piece> pieces) {
    std::string s;
    for (const Piece& p : pieces) p.append_to(s);
    return s;
}

void raise(ErrorKind kind, std::initializer_list<Piece> pieces) { throw Error(kind, join(pieces)); }

}  // namespace fb
