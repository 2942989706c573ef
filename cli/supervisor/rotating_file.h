// A log file of bounded size: FILE, and FILE.1 (the newest) to FILE.N that it was before. Whole lines only are written,
// so that no line is cut by a change of file.
//
// Not thread-safe. What cannot be written (a full disk) is counted and said in the file as soon as it can be again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "services/common/owned_fd.h"

namespace allod::cli {

struct LogLimits {
  std::uint64_t file_bytes_max = 16 << 20;
  int old_files_max = 3;
};

// FILE becomes FILE.1, that FILE.2, and so on; the oldest is gone. Whatever happens, there is no FILE afterwards.
void MoveAside(const std::filesystem::path& file, int old_files_max);

// The same for this process's own standard output and error, which it writes to `file` itself: a new file when it is
// full. To be called now and then by the one thread that starts processes.
void BoundOwnOutput(const std::filesystem::path& file, LogLimits limits = {});

class RotatingFile {
 public:
  // Nothing is opened before the first line.
  RotatingFile(std::filesystem::path path, LogLimits limits) : path_(std::move(path)), limits_(limits) {}

  // `line` ends with a line break.
  void Append(std::string_view line);

 private:
  bool Open();
  bool Write(std::string_view text);

  const std::filesystem::path path_;
  const LogLimits limits_;
  OwnedFd fd_;
  std::uint64_t size_ = 0;
  std::uint64_t lost_lines_ = 0;
};

}  // namespace allod::cli
