#include "inference/engine/zero_pages.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/support/instrumented.h"

namespace allod::inference::engine::zero_pages_test {
namespace {

constexpr std::size_t kBytes = 1 << 20;

struct Free {
  void operator()(unsigned char* memory) const { std::free(memory); }
};

// On the heap, whatever malloc would do with so large a piece.
std::unique_ptr<unsigned char, Free> Allocate(int filling) {
  mallopt(M_MMAP_THRESHOLD, 8 * kBytes);
  mallopt(M_TOP_PAD, 0);
  mallopt(M_TRIM_THRESHOLD, 64 * kBytes);
  auto* out = static_cast<unsigned char*>(std::malloc(kBytes));
  std::memset(out, filling, kBytes);
  return std::unique_ptr<unsigned char, Free>(out);
}

std::size_t ResidentPages(const unsigned char* begin) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  std::vector<unsigned char> resident(kBytes / page - 1);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(first), resident.size() * page, resident.data()), 0);
  std::size_t count = 0;
  for (const unsigned char one : resident) count += one & 1U;
  return count;
}

TEST(ZeroPages, AreGivenBackAndNothingElse) {
  if (test::kInstrumented) GTEST_SKIP() << "malloc is another one";
  const auto zeros = Allocate(0);
  const auto written = Allocate(7);
  zeros.get()[kBytes / 2] = 1;
  const std::size_t all = ResidentPages(written.get());
  ASSERT_GT(all, 200U);
  ASSERT_EQ(ResidentPages(zeros.get()), all);

  GiveBackZeroPages();

  EXPECT_LE(ResidentPages(zeros.get()), 1U);
  EXPECT_EQ(ResidentPages(written.get()), all);
  EXPECT_EQ(zeros.get()[kBytes / 2], 1);
  EXPECT_EQ(zeros.get()[kBytes / 4], 0);
  EXPECT_EQ(written.get()[kBytes / 2], 7);
}

}  // namespace
}  // namespace allod::inference::engine::zero_pages_test
