#include "cli/supervisor/rotating_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

namespace allod::cli {

void MoveAside(const std::filesystem::path& file, int old_files_max) {
  const auto old = [&](int i) { return i == 0 ? file : std::filesystem::path(fmt::format("{}.{}", file.string(), i)); };
  std::error_code ec;
  for (int i = old_files_max; i > 0; --i) std::filesystem::rename(old(i - 1), old(i), ec);
  // The bound counts more than old lines.
  if (old_files_max == 0 || ec) std::filesystem::remove(file, ec);
}

void BoundOwnOutput(const std::filesystem::path& file, LogLimits limits) {
  std::error_code ec;
  if (std::filesystem::file_size(file, ec) <= limits.file_bytes_max || ec) return;
  MoveAside(file, limits.old_files_max);
  const OwnedFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return;
  std::fflush(nullptr);
  ::dup2(fd.get(), STDOUT_FILENO);
  ::dup2(fd.get(), STDERR_FILENO);
}

bool RotatingFile::Open() {
  if (fd_) return true;
  fd_ = OwnedFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info {};
  size_ = fd_ && ::fstat(fd_.get(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  return static_cast<bool>(fd_);
}

bool RotatingFile::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd_.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    size_ += static_cast<std::uint64_t>(n);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void RotatingFile::Append(std::string_view line) {
  if (Open() && size_ > 0 && size_ + line.size() > limits_.file_bytes_max) {
    MoveAside(path_, limits_.old_files_max);
    fd_.Reset();
  }
  if (!Open()) {
    ++lost_lines_;
    return;
  }
  if (lost_lines_ > 0 && Write(fmt::format("({} lines could not be written here)\n", lost_lines_))) lost_lines_ = 0;
  if (!Write(line)) ++lost_lines_;
}

}  // namespace allod::cli
