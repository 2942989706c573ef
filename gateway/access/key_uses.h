// Which API keys were let in, and in which minute, for tenancy to know when each was last used.
//
// A request costs at most one entry in memory, and only the first of a key in a minute. A thread of its own tells
// tenancy, once in an interval; what it cannot tell it tells the next time. A gateway that dies takes with it what it
// noted since the last time. Thread-safe.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "allod/tenancy/v1/api_key.pb.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/result.h"

namespace allod::gateway::access {

class KeyUses {
 public:
  // Beyond it, keys are not noted until some were told.
  static constexpr std::size_t kKeysMax = 200'000;
  using ByName = std::unordered_map<std::string, Time>;

  // The newest of each key counts.
  void Note(const std::string& key_name, Time time);
  // All of them, which are then forgotten.
  ByName Take();
  void PutBack(ByName uses);
  std::size_t size() const;

 private:
  // With the lock held.
  void Keep(const std::string& key_name, Time time);

  mutable std::mutex mutex_;
  ByName uses_;
};

class KeyUseReporter {
 public:
  // Makes one call.
  using Tell = std::function<Status(const tenancy::v1::ReportApiKeyUseRequest& request)>;

  // `uses` must outlive this.
  KeyUseReporter(KeyUses& uses, std::chrono::milliseconds interval, Tell tell);
  KeyUseReporter(const KeyUseReporter&) = delete;
  // Tells what it can in half a second, and ends.
  void Stop();

 private:
  // Until all were told, one call failed, or `go_on` says no.
  void Report(const std::function<bool()>& go_on);

  KeyUses& uses_;
  const Tell tell_;
  bool stopped_ = false;
  OwnedThread thread_;
};

// Tells the tenancy service.
std::unique_ptr<KeyUseReporter> ReportKeyUses(std::shared_ptr<grpc::Channel> tenancy, KeyUses& uses,
                                              std::chrono::milliseconds interval);

}  // namespace allod::gateway::access
