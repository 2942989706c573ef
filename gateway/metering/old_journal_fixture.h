// For tests: a journal as versions 0 and 1 wrote it, byte by byte. Version 0 had no version in head and slot, and its
// checksum was that of the immutable part alone.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "services/common/ids.h"

namespace allod::gateway::metering {

class OldJournalBytes {
 public:
  struct Slot {
    Uuid request_id;
    std::uint32_t state = 0;  // 1: taken, 2: finalised
    std::uint32_t outcome = 0;
    std::int64_t prompt_tokens = 0;
    std::int64_t completion_tokens = 0;
  };

  OldJournalBytes(std::uint32_t slot_count, std::uint32_t version)
      : version_(version), file_(std::size_t{512} * (slot_count + 1), '\0') {
    Put(0, "ALDJRNL1", 8);
    Put(8, std::uint32_t{512});
    Put(12, slot_count);
    Put(16, version);
  }

  void Put(std::size_t slot, const Slot& what) {
    const std::size_t at = 512 * (slot + 1);
    Put(at + 8, what.request_id.bytes().data(), 16);
    Put(at + 24, std::int64_t{1'900'000'000'000});
    Put(at + 32, "tenants/ke", 10);
    Put(at + 112, "tenants/ke/projects/p/instances/i", 33);
    Put(at, what.state);
    std::string summed = file_.substr(at + 8, 392);
    if (version_ > 0) summed.append(reinterpret_cast<const char*>(&version_), sizeof(version_));
    Put(at + 4, Crc32(summed));
    Put(at + 400, std::uint32_t{1});  // reserved
    Put(at + 404, what.outcome);
    Put(at + 408, what.prompt_tokens);
    Put(at + 416, what.completion_tokens);
    Put(at + 424, version_);
  }
  void PutVersion(std::size_t slot, std::uint32_t version) { Put(512 * (slot + 1) + 424, version); }
  // As a crash of the machine could leave it.
  void Scribble(std::size_t slot, std::size_t offset) { file_[512 * (slot + 1) + offset] = 'x'; }
  const std::string& file() const { return file_; }

 private:
  void Put(std::size_t offset, const void* data, std::size_t size) { std::memcpy(file_.data() + offset, data, size); }
  template <typename T>
  void Put(std::size_t offset, T value) {
    Put(offset, &value, sizeof(value));
  }
  static std::uint32_t Crc32(const std::string& bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const char c : bytes) {
      crc ^= static_cast<std::uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
  }

  const std::uint32_t version_;
  std::string file_;
};

}  // namespace allod::gateway::metering
