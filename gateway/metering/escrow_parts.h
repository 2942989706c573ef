// What the files of EscrowFunds (escrow_*.cc) share, and nobody else sees.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/metering/escrow_funds.h"

namespace allod::gateway::metering {

// Before a call that follows one that brought nothing.
inline constexpr std::chrono::milliseconds kPauseMin(20);
inline constexpr std::chrono::milliseconds kPauseMax(250);

// A request that waits for money. Its coroutine and the shard's lock share it.
struct EscrowFunds::Waiter {
  FundsRequest request;
  std::optional<Funds> held;
  std::function<void()> wake;               // from any thread
  std::optional<Result<Funds>> answer{};    // these under the shard's lock
  std::optional<SteadyTime> short_since{};  // since when money for it is looked for
  bool short_of_budget = false;             // others need not wait behind it
};

struct EscrowFunds::Tenant {
  const std::string name;
  LeaseBook book{};
  std::string currency{};
  std::deque<std::shared_ptr<Waiter>> waiting{};
  bool calling = false;
  bool no_room = false;                // said the last answer
  SteadyTime not_before{};             // of the next call
  std::chrono::milliseconds pause{0};  // before it
  SteadyTime due = SteadyTime::max();  // in the timer

  // Before the next call.
  void Rest(SteadyTime now) {
    pause = std::clamp(2 * pause, kPauseMin, kPauseMax);
    not_before = now + pause;
  }
};

// In flight; owned by its callback.
struct EscrowFunds::Call {
  std::string tenant;
  billing::v1::AdjustLeaseRequest request;
  billing::v1::AdjustLeaseResponse response;
  std::unique_ptr<grpc::ClientContext> context;
};

struct EscrowFunds::EndCall {
  billing::v1::EndEarlierLeasesRequest request;
  billing::v1::EndEarlierLeasesResponse response;
  std::unique_ptr<grpc::ClientContext> context;
};

}  // namespace allod::gateway::metering
