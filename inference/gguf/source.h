// Where header bytes come from, and a cursor over them that cannot read past a bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::inference::gguf {

class Source {
 public:
  virtual ~Source() = default;
  virtual std::uint64_t size() const = 0;
  // Fills `out` from `offset`; false when the file got shorter or cannot be read.
  virtual bool ReadAt(std::uint64_t offset, std::span<std::byte> out) = 0;
};

// A regular file, read with pread: unlike a mapping, a file that shrinks meanwhile is an error and not a signal.
// NOT_FOUND / NOT_FOUND, INVALID_ARGUMENT / GGUF_NOT_A_FILE.
Result<std::unique_ptr<Source>> OpenSource(const std::filesystem::path& path);

// The same from an open file, which it duplicates: the caller's descriptor and its position stay as they are.
Result<std::unique_ptr<Source>> OpenSource(int fd);

// Bytes in memory, which must outlive it.
std::unique_ptr<Source> MemorySource(std::span<const std::byte> bytes);

// Reads little-endian values one after another. Every failure is GGUF_TRUNCATED (the file ends) or
// GGUF_HEADER_TOO_LARGE (the bound is reached), with the byte offset and `what` was being read.
class Cursor {
 public:
  // Reads at most `limit` bytes of `source`, which must outlive it.
  Cursor(Source& source, std::uint64_t limit);

  std::uint64_t offset() const { return base_ + position_; }
  // Bytes until the end of the file or the bound.
  std::uint64_t remaining() const { return end_ - offset(); }

  Result<std::uint32_t> U32(const char* what);
  Result<std::uint64_t> U64(const char* what);
  Status Bytes(std::span<std::byte> out, const char* what);
  // `bytes` must have been bounded by the caller.
  Result<std::string> Text(std::uint64_t bytes, const char* what);
  Status Skip(std::uint64_t bytes, const char* what);

 private:
  Status Need(std::uint64_t bytes, const char* what) const;

  Source& source_;
  std::uint64_t end_;
  std::uint64_t base_ = 0;  // file offset of buffer_[0]
  std::size_t position_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace allod::inference::gguf
