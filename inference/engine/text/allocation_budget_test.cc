#include "inference/engine/text/allocation_budget.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "inference/engine/text/throw_barrier.h"
#include "tests/support/instrumented.h"

namespace allod::inference::engine::text::allocation_budget_test {
namespace {

using std::chrono::milliseconds;

constexpr AllocationBudget::Limits kSmall{.bytes_max = 1 << 20};

// So that neither a frame nor an allocation is optimised away.
void Keep(char* memory) { asm volatile("" : : "r"(memory) : "memory"); }

std::unique_ptr<char[]> Allocated(std::size_t bytes) {
  auto out = std::make_unique<char[]>(bytes);
  Keep(out.get());
  return out;
}

TEST(AllocationBudget, ThrowsWhereMemoryTimeOrDepthRunsOut) {
  const std::function<void(int)> deep = [&](int depth) {
    char frame[4096];
    Keep(frame);
    const auto some = Allocated(64);
    if (depth > 0) deep(depth - 1);
    Keep(frame);
  };
  const auto exceeds = [](const AllocationBudget::Limits& limits, const std::function<void()>& run) {
    const AllocationBudget budget(limits);
    try {
      run();
    } catch (const BudgetExceeded&) {
      return budget.is_exceeded();
    }
    return false;
  };
  EXPECT_FALSE(exceeds(kSmall, [] { Allocated(1 << 19); }));
  EXPECT_TRUE(exceeds(kSmall, [] { Allocated(2 << 20); }));
  EXPECT_TRUE(exceeds(kSmall, [] {
    std::vector<std::unique_ptr<char[]>> all;
    while (true) all.push_back(Allocated(1000));
  }));
  EXPECT_TRUE(exceeds({.processor_time_max = milliseconds(20)}, [] {
    while (true) Allocated(10);
  }));
  EXPECT_FALSE(exceeds({.stack_bytes_max = 1 << 20}, [&] { deep(10); }));
  EXPECT_TRUE(exceeds({.stack_bytes_max = 64 << 10}, [&] { deep(1000); }));
}

// Whatever the limit says: what recurses ends with an exception, not at the end of the thread's stack.
TEST(AllocationBudget, GoesNoDeeperThanTheThreadsStack) {
  if (test::kInstrumented) GTEST_SKIP() << "frames are of another size";
  const auto overflow = [](void* out) -> void* {
    const std::function<void()> forever = [&] {
      char frame[1024];
      Keep(frame);
      const auto some = Allocated(16);
      forever();
      Keep(frame);
    };
    const AllocationBudget budget({.stack_bytes_max = 64 << 20});
    try {
      forever();
    } catch (const BudgetExceeded&) {
      *static_cast<bool*>(out) = true;
    }
    return nullptr;
  };
  bool was_caught = false;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  pthread_t thread{};
  ASSERT_EQ(pthread_create(&thread, &attributes, overflow, &was_caught), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_TRUE(was_caught);
}

// Allocates when it is destroyed, as a JSON value with children does.
struct Careful {
  std::vector<std::unique_ptr<char[]>>& kept;
  ~Careful() { kept.push_back(Allocated(2 << 20)); }
};

TEST(AllocationBudget, NothingIsThrownOutOfADestructorButSoonAfterIt) {
  std::vector<std::unique_ptr<char[]>> kept;
  const AllocationBudget budget(kSmall);
  { const Careful careful{kept}; }
  EXPECT_EQ(kept.size(), 1U);
  EXPECT_FALSE(budget.is_exceeded());
  EXPECT_THROW(kept.push_back(Allocated(2 << 20)), BudgetExceeded);
}

TEST(AllocationBudget, NothingIsThrownThroughAFunctionThatPromisesIt) {
#ifdef __SANITIZE_THREAD__
  // Its instrumentation gives every function something to clean up, and a promise inlined into such a one is not seen.
  GTEST_SKIP() << "promises look otherwise";
#endif
  const AllocationBudget budget(kSmall);
  const auto promises = [](const auto& run) noexcept { run(); };
  promises([] { Allocated(2 << 20); });
  // Caught before it comes to the promise.
  bool was_caught = false;
  promises([&] {
    try {
      Allocated(2 << 20);
    } catch (...) {
      was_caught = true;
    }
  });
  EXPECT_TRUE(was_caught);
  EXPECT_EQ(new (std::nothrow) char[2 << 20], nullptr);
}

// Every size runs out somewhere else, in constructors, destructors and moves.
TEST(AllocationBudget, LargeJsonValuesOfAnySizeEndWithAnExceptionOrNot) {
  int exceeded = 0;
  constexpr int kSizes = 60;
  for (int size = 1; size <= kSizes; ++size) {
    const AllocationBudget budget({.bytes_max = 4 << 20});
    try {
      nlohmann::json array = nlohmann::json::array();
      for (int i = 0; i < size * 2000; ++i) array.push_back({{"a", i}, {"b", nlohmann::json::array({array.size()})}});
      nlohmann::json copy = array;
      copy.push_back(array);
    } catch (const BudgetExceeded&) {
      ++exceeded;
    }
  }
  EXPECT_GT(exceeded, kSizes / 2);
  EXPECT_LT(exceeded, kSizes);
}

// Functions of their own, whatever the optimiser would like.
[[gnu::noinline]] CallPlace CalledFrom() {
  return {reinterpret_cast<std::uintptr_t>(__builtin_dwarf_cfa()), __builtin_return_address(0)};
}
[[gnu::noinline]] bool Asks(const CallPlace& owner) {
  const bool out = IsThrowBarred(owner);
  asm volatile("" : : : "memory");  // comes back to here
  return out;
}
[[gnu::noinline]] bool Cleans(const CallPlace& owner) {
  const std::string something(1000, 'x');
  return Asks(owner);
}
[[gnu::noinline]] bool Promises(const CallPlace& owner) noexcept { return Cleans(owner); }
[[gnu::noinline]] bool Catches(const CallPlace& owner) {
  try {
    return Asks(owner);
  } catch (...) {
    return false;
  }
}
[[gnu::noinline]] bool PromisesAndCatches(const CallPlace& owner) noexcept { return Catches(owner); }

TEST(ThrowBarrier, IsWhateverWouldEndTheProcess) {
  const CallPlace owner = CalledFrom();
  EXPECT_FALSE(Asks(owner));
  EXPECT_FALSE(Cleans(owner));
  EXPECT_TRUE(Promises(owner));
  EXPECT_FALSE(Catches(owner));
  EXPECT_FALSE(PromisesAndCatches(owner));
}

}  // namespace
}  // namespace allod::inference::engine::text::allocation_budget_test
