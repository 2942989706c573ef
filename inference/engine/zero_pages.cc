#include "inference/engine/zero_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <span>

namespace allod::inference::engine {
namespace {

std::uintptr_t HeapEnd() { return reinterpret_cast<std::uintptr_t>(sbrk(0)); }

// What was allocated before the program's own first lines is left alone.
const std::uintptr_t kHeapBegin = HeapEnd();

bool IsZero(std::uintptr_t page, std::size_t bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(page);  // NOLINT(performance-no-int-to-ptr)
  return std::ranges::all_of(std::span(words, bytes / sizeof(*words)), [](std::uint64_t word) { return word == 0; });
}

}  // namespace

void GiveBackZeroPages() {
  const auto bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const std::uintptr_t end = HeapEnd() / bytes * bytes;
  std::uintptr_t page = (kHeapBegin + bytes - 1) / bytes * bytes;
  while (page < end) {
    std::uintptr_t zeros_end = page;
    while (zeros_end < end && IsZero(zeros_end, bytes)) zeros_end += bytes;
    if (zeros_end > page) {
      madvise(reinterpret_cast<void*>(page), zeros_end - page, MADV_DONTNEED);  // NOLINT(performance-no-int-to-ptr)
    }
    page = zeros_end + bytes;
  }
}

}  // namespace allod::inference::engine
