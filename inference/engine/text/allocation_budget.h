// A bound on what foreign code may cost: while a budget is in force on a thread, operator new there counts memory, time
// and stack, and throws BudgetExceeded when one of them runs out.
//
// llama.cpp's interpreter of chat templates, its converter of JSON schemas and its grammars have no limits of their
// own, but none of them does anything for long without allocating; our own code that might counts its steps
// (inference/schema/steps.h). This object's file replaces the global operator new and delete of the program; without a
// budget they cost one thread-local read more than the ordinary ones.
//
// A budget belongs to the thread that made it; only one at a time is in force, the innermost. Nothing is thrown where
// it would end the process: while an exception unwinds, and below a function that promises to throw nothing, such as a
// destructor (throw_barrier.h). After each exception, and each that was held back, a short grace is given.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

#include "inference/engine/text/throw_barrier.h"

namespace allod::inference::engine::text {

// Of the calling thread, since it began.
std::chrono::nanoseconds ThreadProcessorTime();

class BudgetExceeded final : public std::bad_alloc {
 public:
  const char* what() const noexcept override { return "it takes too much memory, time or depth"; }
};

class AllocationBudget {
 public:
  struct Limits {
    std::size_t bytes_max = 32 << 20;                    // more than at the start
    std::size_t allocation_bytes_max = 4 << 20;          // of one allocation
    std::chrono::milliseconds processor_time_max{2000};  // of this thread
    // Deeper than at the start; less where the thread has less.
    std::size_t stack_bytes_max = 4 << 20;
  };

  [[gnu::noinline]] explicit AllocationBudget(const Limits& limits);
  ~AllocationBudget();
  AllocationBudget(const AllocationBudget&) = delete;
  AllocationBudget& operator=(const AllocationBudget&) = delete;

  bool is_exceeded() const { return is_exceeded_; }
  std::ptrdiff_t bytes() const { return bytes_; }  // held now, more than at the start

  // For operator new and delete.
  static void* Allocate(std::size_t bytes);
  static void Free(void* memory) noexcept;

 private:
  bool RunsOut(std::size_t bytes);
  void Check(std::size_t bytes);

  const Limits limits_;
  AllocationBudget* const outer_;
  const CallPlace owner_;
  const std::uintptr_t stack_end_;      // no deeper
  const std::chrono::nanoseconds end_;  // on the thread's processor clock
  std::ptrdiff_t bytes_ = 0;
  std::uint32_t allocations_ = 0;
  std::uint32_t grace_ = 0;
  bool is_exceeded_ = false;
};

}  // namespace allod::inference::engine::text
