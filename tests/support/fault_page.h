// What an armed program and its test share: a page of counters and orders, one cell for each fault point
// (services/common/fault_point.h), in a file that both map. The kernel keeps it whoever is killed.
#pragma once

#include <atomic>
#include <cstdint>

#include "services/common/fault_point.h"

namespace allod {

enum class FaultAction : std::uint32_t { kNone, kKill, kFail, kDelay };

struct FaultCell {
  std::atomic<std::uint64_t> hits;
  std::atomic<std::uint64_t> fire_at;  // the hit that it happens at; 0: none
  std::atomic<std::uint64_t> fired;    // how often it happened
  std::atomic<FaultAction> action;
  std::atomic<std::uint32_t> delay_ms;
};

struct FaultPage {
  FaultCell cells[kFaultPoints.size()];
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<FaultAction>::is_always_lock_free);

// Names the file, in the environment of an armed program.
inline constexpr char kFaultPageVariable[] = "ALLOD_FAULT_PAGE";

// For a test that forks: what this process passes from now on counts there.
void UseFaultPage(const char* path);

}  // namespace allod
