// Limits that the gates of several services share: how much of one kind of call a tenant may have at once.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "services/common/rpc/call_gate.h"

namespace allod {

// Places for reads: several times what one tenant may hold, so that two of them leave room.
inline constexpr int kReadPlaces = 8;
inline constexpr int kReadPlacesOfOperators = 2;

// Reads of hundreds or thousands of rows. As many wait as a page of a portal asks for at once.
inline CallGate::Limits ReadLimits() {
  return {.what = "reads",
          .per_key_max = 2,
          .total_max = kReadPlaces,
          .waiting_per_key_max = 32,
          .waiting_max = 64,
          .wait_max = std::chrono::milliseconds(2000),
          .operator_max = kReadPlacesOfOperators,
          .operator_waiting_max = 8};
}

// Changes, until the watchers that keep up have acknowledged them, which may take 2 s (Watchers::kWaitMax) with nothing
// to do for the service. A pipeline that makes 16 changes at once is not held up, and ten such crowds leave the others
// room.
inline CallGate::Limits ChangeLimits(std::string what) {
  return {.what = std::move(what), .per_key_max = 20, .total_max = 200};
}

// Of those, what works at the database. All calls of ChangeLimits may wait here. One place is the operator's own.
inline CallGate::Limits WriteLimits(std::string what, int per_key_max, int total_max) {
  return {.what = std::move(what),
          .per_key_max = per_key_max,
          .total_max = total_max,
          .waiting_per_key_max = 20,
          .waiting_max = 200,
          .wait_max = std::chrono::milliseconds(5000),
          .operator_max = 1,
          .operator_waiting_max = 20};
}

}  // namespace allod
