#include "inference/engine/text/allocation_budget.h"

#include <malloc.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <exception>

namespace allod::inference::engine::text {
namespace {

constinit thread_local AllocationBudget* in_force = nullptr;

// The clock costs a system call, so it is not read at every allocation.
constexpr std::uint32_t kAllocationsPerClock = 64;
constexpr std::uint32_t kGraceAllocations = 256;
constexpr std::size_t kGraceBytesMax = 16 << 10;  // of one of them
// How many times its memory a budget lets be taken where nothing can be thrown: then the process had better end.
constexpr std::size_t kHeldBackFactor = 4;
// What is left of a stack for calls that allocate nothing, where nobody looks how deep they are.
constexpr std::size_t kStackReserveBytes = 128 << 10;

// The lowest address of the calling thread's stack that a budget lets be used; 0 where the system does not say.
std::uintptr_t LowestOfStack() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* lowest = nullptr;
  std::size_t bytes = 0;
  pthread_attr_getstack(&attributes, &lowest, &bytes);
  pthread_attr_destroy(&attributes);
  return reinterpret_cast<std::uintptr_t>(lowest) + std::min(kStackReserveBytes, bytes / 4);
}

// How deep a budget may go that begins at `stack`.
std::uintptr_t StackEnd(std::uintptr_t stack, std::size_t bytes_max) {
  thread_local const std::uintptr_t lowest = LowestOfStack();
  return std::max(stack - std::min(stack, bytes_max), lowest);
}

std::uintptr_t StackNow() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

}  // namespace

std::chrono::nanoseconds ThreadProcessorTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

AllocationBudget::AllocationBudget(const Limits& limits)
    : limits_(limits),
      outer_(in_force),
      owner_{reinterpret_cast<std::uintptr_t>(__builtin_dwarf_cfa()), __builtin_return_address(0)},
      stack_end_(StackEnd(owner_.stack, limits.stack_bytes_max)),
      end_(ThreadProcessorTime() + limits.processor_time_max) {
  in_force = this;
}

AllocationBudget::~AllocationBudget() { in_force = outer_; }

bool AllocationBudget::RunsOut(std::size_t bytes) {
  if (bytes > limits_.allocation_bytes_max) return true;
  if (bytes_ + static_cast<std::ptrdiff_t>(bytes) > static_cast<std::ptrdiff_t>(limits_.bytes_max)) return true;
  if (StackNow() < stack_end_) return true;
  return ++allocations_ % kAllocationsPerClock == 0 && ThreadProcessorTime() > end_;
}

void AllocationBudget::Check(std::size_t bytes) {
  if (grace_ > 0 && bytes <= kGraceBytesMax) [[unlikely]] {
    --grace_;
    return;
  }
  if (!is_exceeded_ && !RunsOut(bytes)) return;
  if (std::uncaught_exceptions() > 0) return;
  grace_ = kGraceAllocations;
  const auto bytes_at_last = static_cast<std::ptrdiff_t>(kHeldBackFactor * limits_.bytes_max);
  if (bytes_ + static_cast<std::ptrdiff_t>(bytes) <= bytes_at_last && IsThrowBarred(owner_)) return;
  is_exceeded_ = true;
  throw BudgetExceeded();
}

void* AllocationBudget::Allocate(std::size_t bytes) {
  AllocationBudget* const budget = in_force;
  if (budget != nullptr) [[unlikely]]
    budget->Check(bytes);
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) [[unlikely]]
    throw std::bad_alloc();
  if (budget != nullptr) [[unlikely]]
    budget->bytes_ += static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
  return memory;
}

void AllocationBudget::Free(void* memory) noexcept {
  if (AllocationBudget* const budget = in_force; budget != nullptr && memory != nullptr) [[unlikely]] {
    budget->bytes_ -= static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
  }
  std::free(memory);
}

}  // namespace allod::inference::engine::text

// All forms but those for more than the usual alignment, which allocate and free by themselves: the standard library's
// other forms come down to the first, but a sanitizer's runtime has its own of each that is left out.
using allod::inference::engine::text::AllocationBudget;
void* operator new(std::size_t bytes) { return AllocationBudget::Allocate(bytes); }
void* operator new[](std::size_t bytes) { return AllocationBudget::Allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  try {
    return AllocationBudget::Allocate(bytes);
  } catch (...) {
    return nullptr;
  }
}
void* operator new[](std::size_t bytes, const std::nothrow_t& tag) noexcept { return operator new(bytes, tag); }
void operator delete(void* memory) noexcept { AllocationBudget::Free(memory); }
void operator delete[](void* memory) noexcept { AllocationBudget::Free(memory); }
void operator delete(void* memory, std::size_t /*bytes*/) noexcept { AllocationBudget::Free(memory); }
void operator delete[](void* memory, std::size_t /*bytes*/) noexcept { AllocationBudget::Free(memory); }
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept { AllocationBudget::Free(memory); }
void operator delete[](void* memory, const std::nothrow_t& /*tag*/) noexcept { AllocationBudget::Free(memory); }
