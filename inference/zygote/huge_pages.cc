#include "inference/zygote/huge_pages.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "services/common/owned_fd.h"

namespace allod::inference::zygote {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE; Debian 12's headers do not have it
constexpr std::uintptr_t kHugePage = 2 << 20;
// Smaller areas are a heap's, which children write to: a huge page that is written to is copied.
constexpr std::uintptr_t kAreaMin = 8 << 20;

std::string ReadAll(int fd) {
  std::string out;
  char buffer[16384];
  ssize_t bytes = 0;
  while ((bytes = read(fd, buffer, sizeof(buffer))) > 0) out.append(buffer, static_cast<std::size_t>(bytes));
  return out;
}

}  // namespace

std::int64_t CollapseIntoHugePages(int proc_fd) {
  const OwnedFd maps(openat(proc_fd, "self/maps", O_RDONLY | O_CLOEXEC));
  if (!maps) return 0;
  const std::string text = ReadAll(maps.get());
  std::int64_t collapsed = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    unsigned long from = 0;
    unsigned long to = 0;
    char rights[5] = "";
    unsigned long inode = 0;
    char name[2] = "";
    // "7f..-7f.. rw-p 00000000 00:00 0" and no name: anonymous.
    const int fields = std::sscanf(line.c_str(), "%lx-%lx %4s %*s %*s %lu %1s", &from, &to, rights, &inode, name);
    if (fields != 4 || inode != 0 || std::string_view(rights) != "rw-p" || to - from < kAreaMin) continue;
    const std::uintptr_t first = (from + kHugePage - 1) / kHugePage * kHugePage;
    const std::uintptr_t last = to / kHugePage * kHugePage;
    void* area = reinterpret_cast<void*>(first);  // NOLINT(performance-no-int-to-ptr)
    if (last > first && madvise(area, last - first, kCollapse) == 0) {
      collapsed += static_cast<std::int64_t>(last - first);
    }
  }
  return collapsed;
}

}  // namespace allod::inference::zygote
