#include "inference/gguf/source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "services/common/owned_fd.h"

namespace allod::inference::gguf {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are read as they lie in the file");

constexpr std::size_t kBufferBytes = 64 * 1024;

class FileSource final : public Source {
 public:
  FileSource(OwnedFd file, std::uint64_t size) : file_(std::move(file)), size_(size) {}

  std::uint64_t size() const override { return size_; }
  bool ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    while (!out.empty()) {
      const ssize_t n = pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      offset += static_cast<std::uint64_t>(n);
      out = out.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }

 private:
  OwnedFd file_;
  std::uint64_t size_;
};

class SpanSource final : public Source {
 public:
  explicit SpanSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  bool ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return false;
    std::ranges::copy(bytes_.subspan(offset, out.size()), out.begin());
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

Result<std::unique_ptr<Source>> TakeRegularFile(OwnedFd file, const std::string& name) {
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return InvalidArgument("GGUF_NOT_A_FILE", fmt::format("{} is not a regular file", name));
  }
  return std::make_unique<FileSource>(std::move(file), static_cast<std::uint64_t>(info.st_size));
}

}  // namespace

Result<std::unique_ptr<Source>> OpenSource(const std::filesystem::path& path) {
  // Non-blocking, so that a FIFO under this name cannot hold the caller.
  OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return NotFound(fmt::format("{}: {}", path.string(), std::strerror(errno)));
  return TakeRegularFile(std::move(file), path.string());
}

Result<std::unique_ptr<Source>> OpenSource(int fd) {
  OwnedFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return Internal(fmt::format("the model's descriptor cannot be duplicated: {}", std::strerror(errno)));
  return TakeRegularFile(std::move(own), "the model's descriptor");
}

std::unique_ptr<Source> MemorySource(std::span<const std::byte> bytes) { return std::make_unique<SpanSource>(bytes); }

Cursor::Cursor(Source& source, std::uint64_t limit) : source_(source), end_(std::min(source.size(), limit)) {}

Status Cursor::Need(std::uint64_t bytes, const char* what) const {
  if (bytes <= remaining()) return {};
  if (end_ < source_.size()) {
    return InvalidArgument("GGUF_HEADER_TOO_LARGE",
                           fmt::format("the header does not end within its limit of {} bytes (reading {} at byte {})",
                                       end_, what, offset()));
  }
  return InvalidArgument("GGUF_TRUNCATED",
                         fmt::format("the file ends at byte {} inside {}, which starts at byte {} and needs {} bytes",
                                     end_, what, offset(), bytes));
}

Status Cursor::Bytes(std::span<std::byte> out, const char* what) {
  ALLOD_CHECK_OK(Need(out.size(), what));
  while (!out.empty()) {
    if (position_ == buffer_.size()) {
      base_ += position_;
      position_ = 0;
      buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBufferBytes, end_ - base_)));
      if (!source_.ReadAt(base_, buffer_)) {
        buffer_.clear();
        return InvalidArgument("GGUF_UNREADABLE", fmt::format("the file cannot be read at byte {}", base_));
      }
    }
    const std::size_t n = std::min(out.size(), buffer_.size() - position_);
    std::memcpy(out.data(), buffer_.data() + position_, n);
    position_ += n;
    out = out.subspan(n);
  }
  return {};
}

Result<std::uint32_t> Cursor::U32(const char* what) {
  std::uint32_t value = 0;
  ALLOD_CHECK_OK(Bytes(std::as_writable_bytes(std::span(&value, 1)), what));
  return value;
}

Result<std::uint64_t> Cursor::U64(const char* what) {
  std::uint64_t value = 0;
  ALLOD_CHECK_OK(Bytes(std::as_writable_bytes(std::span(&value, 1)), what));
  return value;
}

Result<std::string> Cursor::Text(std::uint64_t bytes, const char* what) {
  ALLOD_CHECK_OK(Need(bytes, what));
  std::string text(static_cast<std::size_t>(bytes), '\0');
  ALLOD_CHECK_OK(Bytes(std::as_writable_bytes(std::span(text.data(), text.size())), what));
  return text;
}

Status Cursor::Skip(std::uint64_t bytes, const char* what) {
  ALLOD_CHECK_OK(Need(bytes, what));
  const std::uint64_t buffered = buffer_.size() - position_;
  if (bytes <= buffered) {
    position_ += static_cast<std::size_t>(bytes);
    return {};
  }
  base_ = offset() + bytes;
  position_ = 0;
  buffer_.clear();
  return {};
}

}  // namespace allod::inference::gguf
