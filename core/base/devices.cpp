#include "base/devices.h"
#include <array>
#include <cctype>
#include <string>
#include "base/error.h"

namespace fb {
namespace {

constexpr std::array<std::string_view, 20> names{"cpu",    "cuda",   "meta", "ipu", "xpu",  "mkldnn",       "opengl",
                                                 "opencl", "ideep",  "hip",  "ve",  "fpga", "maia",         "xla",
                                                 "lazy",   "vulkan", "mps",  "hpu", "mtia", "privateuseone"};
static_assert(names[size_t(DeviceType::Meta)] == "meta");

}  // namespace

std::span<const std::string_view> device_names() { return names; }
std::string_view device_name(DeviceType t) { return names[size_t(t)]; }

void raise_no_memory(Device d) {
    std::string upper(device_name(d.type));
    for (char& c : upper) c = char(std::toupper(c));
    if (upper == "CUDA" || upper == "XPU") fail(ErrorKind::Assertion, "Torch not compiled with ", upper, " enabled");
    fail(ErrorKind::NotImplemented, "Could not run 'aten::empty.memory_format' with arguments from the '", upper,
         "' backend. flambeau has cpu, cuda and meta.");
}

}  // namespace fb
