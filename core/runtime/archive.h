// Zip archives as PyTorch writes them: records under one folder, stored or deflated. Every number of the file is
// checked against its size.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace fb::runtime {

using Bytes = std::vector<uint8_t>;

class Archive {
public:
    explicit Archive(Bytes file);  // throws Error where it is no archive, or a damaged one
    bool has(const std::string& record) const { return records_.contains(record); }
    // The content; its check sum is compared.
    Bytes read(const std::string& record) const;
    std::string read_text(const std::string& record) const;
    std::vector<std::string> records(const std::string& prefix) const;

private:
    struct Record {
        uint64_t at, packed, size;
        uint32_t crc;
        bool deflated;
    };
    Bytes file_;
    std::map<std::string, Record> records_;  // names without the folder
};

Bytes inflate(std::span<const uint8_t> packed, size_t size);  // RFC 1951
Bytes read_file(const std::string& path);

}  // namespace fb::runtime
