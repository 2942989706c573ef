// Runs the workers of this node: one thread that performs what WorkerSet decides and sees each death at once (pidfd).
//
// The thread starts every worker, so the kernel kills them all when the process dies in whatever way. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "inference/node/artifacts.h"
#include "inference/node/child_process.h"
#include "inference/node/worker_set.h"
#include "services/common/rpc/caller.h"

namespace allod::inference::node {

class ArtifactFetcher;

struct SupervisorConfig {
  std::filesystem::path worker_executable;
  std::filesystem::path run_dir;
  int threads = 1;  // of each worker
  Caller caller;    // of this node
};

class Supervisor {
 public:
  // `artifacts` must outlive it.
  Supervisor(SupervisorConfig config, Artifacts& artifacts);
  ~Supervisor();  // Stop()
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The complete set; replaces the one before.
  void SetDesired(std::vector<DesiredWorker> desired);

  struct Snapshot {
    std::uint64_t revision = 0;  // grows with each change
    std::vector<ObservedWorker> workers;
  };
  // Returns when the revision differs from `seen`, the time is over or `stop` is requested.
  Snapshot WaitForChange(std::uint64_t seen, std::chrono::milliseconds timeout, std::stop_token stop);

  // Ends all workers (SIGTERM, after 3 s SIGKILL) and the thread.
  void Stop();

 private:
  struct Running {
    ChildProcess process;
    DesiredWorker worker;
    std::filesystem::path socket;
    SteadyTime ask_after;  // when to probe next
    std::string last_line;
    int lines_this_second = 0;
    std::chrono::seconds second{};
  };
  struct Inbox {
    std::optional<std::vector<DesiredWorker>> desired;
    std::vector<std::pair<std::string, Result<std::filesystem::path>>> artifacts;
    bool stop = false;
  };

  void Run();
  void TakeInbox();
  void Perform(const Action& action);
  void StartWorker(const Action& action);
  void FindArtifact(const std::string& sha256);
  void ProbeUnanswered();
  void ReadOutput(Running& running);
  void ReapEnded();
  void PublishChanges();
  void WaitForEvents();
  void Wake();

  const SupervisorConfig config_;
  Artifacts& artifacts_;
  OwnedFd wake_;

  // Of the thread only.
  WorkerSet set_;
  std::map<std::string, Running> running_;  // by replica uid
  bool stopping_ = false;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Inbox inbox_;
  Snapshot snapshot_;

  std::unique_ptr<ArtifactFetcher> fetcher_;
  std::thread thread_;
};

}  // namespace allod::inference::node
