#include "inference/node/process/memory_figures.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace allod::inference::node::process {
namespace {

constexpr std::int64_t kKibMax = std::int64_t{1} << 40;

std::int64_t BytesOf(std::string_view text, std::string_view field) {
  const std::size_t at = text.find(field);
  if (at == std::string_view::npos) return 0;
  const std::size_t from = text.find_first_not_of(' ', at + field.size());
  std::int64_t kib = 0;
  if (from != std::string_view::npos) std::from_chars(text.data() + from, text.data() + text.size(), kib);
  // Whoever the file is of may have passed off another one.
  return std::clamp<std::int64_t>(kib, 0, kKibMax) * 1024;
}

}  // namespace

std::optional<MemoryFigures> ReadSmapsRollup(int fd) {
  char text[4096] = {};
  if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) <= 0) return std::nullopt;
  const std::string_view all(text);
  return MemoryFigures{BytesOf(all, "\nPrivate_Clean:") + BytesOf(all, "\nPrivate_Dirty:"), BytesOf(all, "\nPss:")};
}

bool IsProcFile(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && info.f_type == PROC_SUPER_MAGIC;
}

}  // namespace allod::inference::node::process
