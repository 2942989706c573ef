// Tells a service which version of the state that it pushes is in force here, on a thread of its own, so that applying
// the next change never waits for it. The service's mutations wait until they are told
// (services/common/rpc/watchers.h).
//
// Only the newest version is told; a call that fails is repeated until the stream that it belongs to ends. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "services/common/owned_thread.h"
#include "services/common/result.h"

namespace allod {

inline constexpr std::chrono::milliseconds kAcknowledgeTimeout{500};

class Acknowledger {
 public:
  // Makes one call, of kAcknowledgeTimeout at most.
  using Tell = std::function<Status(const std::string& watcher_id, std::int64_t version)>;

  explicit Acknowledger(Tell tell);
  Acknowledger(const Acknowledger&) = delete;

  // A new stream begins, under the id that is returned.
  std::string BeginStream();
  void EndStream();
  // In force now. 0 is nothing to tell of.
  void Applied(std::int64_t version);

 private:
  void Loop(const std::stop_token& stop);

  const Tell tell_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string watcher_id_;  // empty between streams
  std::int64_t applied_ = 0;
  std::int64_t told_ = 0;
  OwnedThread thread_;
};

}  // namespace allod
