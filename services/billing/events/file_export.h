// Events as lines of JSON in a file. What is put is on the disk when Put() returns. A file that has grown to its size
// is renamed
// (`events.jsonl.1` is the newest of those before) and a new one begun; the oldest beyond the number that is kept is
// deleted.
#pragma once

#include <cstdint>
#include <filesystem>

#include "services/billing/events/event_export.h"
#include "services/common/owned_fd.h"

namespace allod::billing::events {

class FileExport final : public EventExport {
 public:
  struct Options {
    std::filesystem::path path;
    std::uint64_t bytes_max = 64 << 20;  // then it is renamed, at the end of a Put()
    int kept = 8;                        // files of before
  };
  explicit FileExport(Options options) : options_(std::move(options)) {}

  Status Put(const std::vector<std::string>& events) override;

 private:
  Status Open();
  Status Rotate();
  std::filesystem::path Before(int number) const;

  const Options options_;
  OwnedFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace allod::billing::events
