// Runs the models and workers of this node: one thread that performs what WorkerSet and SpareSet decide and sees each
// event at once.
//
// What zygotes and workers say is bounded and checked. One that says what cannot be is ended, and its status says why;
// the others go on.
//
// The thread starts every zygote, so the kernel kills them all, and with them their workers, when the process dies in
// whatever way. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "inference/gate/arbiter.h"
#include "inference/node/artifacts/artifacts.h"
#include "inference/node/figures.h"
#include "inference/node/pool/spare_set.h"
#include "inference/node/pool/worker_set.h"
#include "inference/node/process/cgroups.h"
#include "inference/node/process/page_figures.h"
#include "inference/node/process/worker_process.h"
#include "inference/node/process/worker_socket.h"
#include "inference/node/process/zygote_process.h"
#include "inference/node/usage_collector.h"
#include "inference/node/worker_shape.h"
#include "services/common/owned_thread.h"
#include "services/common/wake_fd.h"

namespace allod::inference::node {

namespace artifacts {
class ArtifactFetcher;
}

struct SupervisorConfig {
  std::map<pool::Runtime, std::filesystem::path> worker_executables;  // of every runtime
  std::filesystem::path run_dir;
  // First of the uids for zygotes and workers; used when this process is root.
  std::uint32_t first_uid = 0;
  ShapePolicy shapes;
  pool::ModelPolicy models;
  pool::SparePolicy spares;
};

class Supervisor {
 public:
  // All must outlive it.
  Supervisor(SupervisorConfig config, artifacts::Artifacts& artifacts, gate::Arbiter& gate, UsageCollector& usage);
  ~Supervisor();  // Stop()
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The complete set; replaces the one before.
  void SetDesired(std::vector<pool::DesiredWorker> desired);

  struct Snapshot {
    std::uint64_t revision = 0;  // grows with each change of what follows, figures apart
    std::vector<pool::ObservedWorker> workers;
    std::vector<pool::ObservedModel> models;
    NodeFigures figures;
  };
  // Returns when the revision differs from `seen`, the time is over or `stop` is requested.
  Snapshot WaitForChange(std::uint64_t seen, std::chrono::milliseconds timeout, const std::stop_token& stop);

  // Ends all workers (asked to, after 3 s killed), the zygotes and the thread.
  void Stop();

 private:
  struct Zygote {
    process::ZygoteProcess process;
    std::uint32_t uid_block = 0;
    double load_seconds = 0;
    std::int64_t kv_bytes_per_token_max = 0;
    SteadyTime memory_read{};
  };
  struct Running {
    process::WorkerProcess process;
    std::string model_key;
    std::int64_t kv_tokens = 0;
    SteadyTime started{};
    std::uint64_t requests_seen = 0;  // figures by which activity is seen
    SteadyTime memory_read{};
    process::PageFigures shown;  // what it showed last
    std::string lie;             // what it said that cannot be: it is being ended
  };
  // Forked ahead, and nobody's yet.
  struct Spare {
    Running running;
    std::uint64_t number = 0;  // SpareSet's
    bool is_dropped = false;   // it is being ended
  };
  struct Inbox {
    std::optional<std::vector<pool::DesiredWorker>> desired;
    std::vector<std::pair<std::string, Result<std::filesystem::path>>> artifacts;
  };

  void Run(const std::stop_token& stop);
  void TakeInbox();
  void Perform(const pool::Action& action);
  void FindArtifact(const std::string& sha256);
  void LoadModel(const pool::Action& action);
  void ForkWorker(const pool::Action& action);
  void TellMembers(const pool::Action& action);
  Result<Running> StartProcess(const std::string& model_key, const zygote::WorkerSpec& spec, std::string who);
  void KeepSockets();
  void ReadZygotes();
  void Handle(const std::string& model_key, process::ZygoteProcess::Event event);
  void ReadWorkers();
  void WorkerGone(std::uint64_t id, pool::ProcessExit exit);
  void SeeLies();
  void Accuse(std::uint64_t id, const std::string& lie);
  void Accuse(Running& running, const std::string& lie);
  // Among workers and spares; null when there is none of that id.
  Running* FindProcess(std::uint64_t id);
  void KeepSpares();
  void MakeSpare(const pool::SpareAction& action);
  // None when it is being ended.
  std::optional<Running> TakeSpare(std::uint64_t number);
  bool SpareGone(std::uint64_t id);
  void SeeActivity();
  SteadyTime OldestMemoryReads(SteadyTime now) const;
  void RefreshFigures();
  void PublishChanges();
  void WaitForEvents();
  std::string KeyOf(std::uint64_t id) const;
  static std::string GroupName(std::uint64_t id);

  const SupervisorConfig config_;
  artifacts::Artifacts& artifacts_;
  gate::Arbiter& gate_;
  UsageCollector& usage_;
  process::Cgroups cgroups_;
  const WakeFd wake_;

  // Of the thread only.
  pool::WorkerSet set_;
  pool::SpareSet spare_set_;
  std::map<std::string, Zygote> zygotes_;                 // by model key
  std::map<std::string, Running> running_;                // by worker key
  std::map<std::uint64_t, Spare> spares_;                 // by process id
  std::map<std::string, process::WorkerSocket> sockets_;  // by worker key
  std::set<std::uint32_t> uid_blocks_;
  std::uint64_t last_id_ = 0;
  std::map<std::string, WorkerFigures> ended_;  // totals of earlier processes of a worker
  NodeFigures figures_;
  SteadyTime figures_at_{};
  bool figures_due_ = false;
  bool stopping_ = false;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Inbox inbox_;
  Snapshot snapshot_;

  std::unique_ptr<artifacts::ArtifactFetcher> fetcher_;
  OwnedThread thread_;  // last: it uses everything above
};

}  // namespace allod::inference::node
