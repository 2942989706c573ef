#include "services/billing/events/file_export.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace allod::billing::events {
namespace {

std::unexpected<Error> Failed(const std::filesystem::path& path, const std::string& why) {
  return Fail(Code::kUnavailable, "EXPORT_FAILED", fmt::format("{}: {}", path.filename().string(), why));
}

std::string Why() { return std::strerror(errno); }

// The name of a new file is on the disk when its directory is.
void SyncDirectory(const std::filesystem::path& path) {
  const OwnedFd directory(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) ::fsync(directory.get());
}

// Behind the last line break: what is after it was torn by a death.
std::uint64_t EndOfLines(int fd, std::uint64_t size) {
  std::array<char, 65536> buffer;
  while (size > 0) {
    const std::uint64_t begin = size > buffer.size() ? size - buffer.size() : 0;
    const auto count = ::pread(fd, buffer.data(), size - begin, static_cast<off_t>(begin));
    if (count <= 0) return size;
    for (auto i = count; i > 0; --i) {
      if (buffer[static_cast<std::size_t>(i - 1)] == '\n') return begin + static_cast<std::uint64_t>(i);
    }
    size = begin;
  }
  return 0;
}

}  // namespace

std::filesystem::path FileExport::Before(int number) const {
  return options_.path.string() + "." + std::to_string(number);
}

Status FileExport::Open() {
  if (file_) return {};
  OwnedFd file(::open(options_.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return Failed(options_.path, Why());
  if (!S_ISREG(status.st_mode)) return Failed(options_.path, "is no file");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return Failed(options_.path, "is another process's");
  size_ = EndOfLines(file.get(), static_cast<std::uint64_t>(status.st_size));
  if (::ftruncate(file.get(), static_cast<off_t>(size_)) != 0) return Failed(options_.path, Why());
  SyncDirectory(options_.path);
  file_ = std::move(file);
  return {};
}

Status FileExport::Rotate() {
  std::error_code failed;
  std::filesystem::remove(Before(options_.kept), failed);
  for (int i = options_.kept - 1; i >= 1; --i) {
    std::error_code missing;
    std::filesystem::rename(Before(i), Before(i + 1), missing);
  }
  if (options_.kept > 0) {
    std::filesystem::rename(options_.path, Before(1), failed);
  } else {
    std::filesystem::remove(options_.path, failed);
  }
  if (failed) return Failed(options_.path, "cannot be renamed: " + failed.message());
  file_ = OwnedFd();
  SyncDirectory(options_.path);
  return {};
}

Status FileExport::Put(const std::vector<std::string>& events) {
  ALLOD_CHECK_OK(Open());
  std::string lines;
  for (const std::string& event : events) lines += event + "\n";
  std::uint64_t at = size_;
  for (std::size_t done = 0; done < lines.size();) {
    const auto count = ::pwrite(file_.get(), lines.data() + done, lines.size() - done, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const std::string why = Why();
      file_ = OwnedFd();  // opened again, what is torn is cut off
      return Failed(options_.path, why);
    }
    done += static_cast<std::size_t>(count);
    at += static_cast<std::uint64_t>(count);
  }
  if (::fdatasync(file_.get()) != 0) {
    const std::string why = Why();
    file_ = OwnedFd();
    return Failed(options_.path, why);
  }
  size_ = at;
  if (size_ >= options_.bytes_max) return Rotate();
  return {};
}

}  // namespace allod::billing::events
