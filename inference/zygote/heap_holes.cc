#include "inference/zygote/heap_holes.h"

#include <malloc.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstdlib>

namespace allod::inference::zygote {
namespace {

// Up to here malloc keeps lists of pieces of one size each, which no other size is taken from.
constexpr std::size_t kExactSizesMax = 1032;
constexpr std::size_t kSizesStep = 16;
constexpr std::size_t kSmallest = 24;  // the usable bytes of the smallest piece

// Takes what there is of this size below `top`.
void Fill(std::size_t bytes, std::uintptr_t top) {
  while (true) {
    void* const piece = std::malloc(bytes);
    if (piece == nullptr) return;
    if (reinterpret_cast<std::uintptr_t>(piece) < top) continue;
    std::free(piece);
    return;
  }
}

}  // namespace

void FillHeapHoles() {
  const struct mallinfo2 info = mallinfo2();
  if (info.fordblks == 0) return;
  // The last free piece reaches to the end of the heap, and is no hole.
  const std::uintptr_t top = reinterpret_cast<std::uintptr_t>(sbrk(0)) - info.keepcost;
  // From the largest down, so that what is left of each is filled after it.
  for (std::size_t bytes = std::bit_ceil(info.fordblks); bytes > kExactSizesMax; bytes /= 2) Fill(bytes, top);
  for (std::size_t bytes = kExactSizesMax; bytes >= kSmallest; bytes -= kSizesStep) Fill(bytes, top);
}

}  // namespace allod::inference::zygote
