#include "inference/zygote/heap_holes.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tests/support/instrumented.h"

namespace allod::inference::zygote::heap_holes_test {
namespace {

constexpr int kPieces = 4000;

std::size_t SizeOf(int i) { return 16 + static_cast<std::size_t>(i * 37 % 5000); }

// Allocates many pieces of many sizes, frees every other one, and says where the last of those that stay ends.
std::uintptr_t MakeHoles() {
  std::vector<void*> pieces(kPieces);
  for (int i = 0; i < kPieces; ++i) pieces[static_cast<std::size_t>(i)] = std::malloc(SizeOf(i));
  for (int i = 0; i < kPieces; i += 2) std::free(pieces[static_cast<std::size_t>(i)]);
  std::uintptr_t end = 0;
  for (int i = 1; i < kPieces; i += 2) {
    end = std::max(end, reinterpret_cast<std::uintptr_t>(pieces[static_cast<std::size_t>(i)]) + SizeOf(i));
  }
  return end;
}

// How many of many new pieces lie below `end`.
int CountBelow(std::uintptr_t end) {
  int below = 0;
  for (int i = 0; i < kPieces; ++i) below += reinterpret_cast<std::uintptr_t>(std::malloc(SizeOf(i))) < end ? 1 : 0;
  return below;
}

// In a process of its own, whose heap nobody else needs any more.
template <typename Body>
int StatusOf(Body body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(HeapHoles, NothingIsAllocatedInThemAnyMore) {
  if (test::kInstrumented) GTEST_SKIP() << "malloc is another one";
  mallopt(M_ARENA_MAX, 1);
  EXPECT_EQ(StatusOf([] { return CountBelow(MakeHoles()) > kPieces / 4 ? 0 : 1; }), 0) << "there were no holes";
  EXPECT_EQ(StatusOf([] {
              const std::uintptr_t end = MakeHoles();
              FillHeapHoles();
              return CountBelow(end) == 0 ? 0 : 1;
            }),
            0);
}

TEST(HeapHoles, NoneIsNoMatter) {
  EXPECT_EQ(StatusOf([] {
              FillHeapHoles();
              FillHeapHoles();
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace allod::inference::zygote::heap_holes_test
