// The wait of what changes something that others are told of.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "services/common/rpc/watchers.h"

namespace allod::tenancy {

using SteadyTime = std::chrono::steady_clock::time_point;

// Tells the feed that there is news, and returns when those that watch have what it has of the tenant at `version`, or
// at `until`.
template <typename Feed>
void AwaitInForce(Watchers& watchers, Feed& feed, const std::string& tenant, std::int64_t version, SteadyTime until) {
  const auto left = [&] {
    using std::chrono::milliseconds;
    return std::max(milliseconds(0), std::chrono::floor<milliseconds>(until - std::chrono::steady_clock::now()));
  };
  feed.Notify();
  if (watchers.Await(version, left())) feed.AwaitRead(tenant, left());
}

// Until when a mutating call may wait so.
inline SteadyTime AwaitUntil(const grpc::ServerContext& context) {
  return std::chrono::steady_clock::now() + AcknowledgementWait(context);
}

}  // namespace allod::tenancy
