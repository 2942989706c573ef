// Fetches model files one after another on a thread of its own, so that nobody who watches processes waits for a
// transfer. Thread-safe; a file that is queued already is not queued again.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "inference/node/artifacts/artifacts.h"
#include "services/common/owned_thread.h"

namespace allod::inference::node::artifacts {

class ArtifactFetcher {
 public:
  // `done` is called on the fetcher's thread, once for each Fetch that was accepted. `artifacts` must outlive it.
  using Done = std::function<void(const std::string& sha256, const Result<Blob>&)>;
  ArtifactFetcher(Artifacts& artifacts, Done done);
  // Cancels the transfer that runs and forgets the others.
  ~ArtifactFetcher();

  void Fetch(const std::string& sha256);

 private:
  void Run(const std::stop_token& stop);

  Artifacts& artifacts_;
  const Done done_;
  std::mutex mutex_;
  std::condition_variable_any work_;
  std::deque<std::string> queue_;  // bounded by the number of desired workers
  OwnedThread thread_;
};

}  // namespace allod::inference::node::artifacts
