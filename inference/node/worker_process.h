// The node agent's end of one forked worker: its page, its control channel, its log, and what it costs.
//
// Not thread-safe. Destroying it kills the process, if it still runs; its zygote reaps it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "inference/gate/worker_page.h"
#include "inference/node/child_process.h"
#include "inference/node/desired.h"
#include "inference/node/log_relay.h"
#include "inference/node/memory_figures.h"
#include "inference/zygote/channel.h"
#include "inference/zygote/worker_spec.h"
#include "services/common/result.h"

namespace allod::inference::node {

class WorkerProcess {
 public:
  // Prepares everything that a fork needs. UNAVAILABLE / CANNOT_START_PROCESS.
  static Result<WorkerProcess> Prepare(std::uint64_t id, std::string who);
  ~WorkerProcess();
  WorkerProcess(WorkerProcess&&) noexcept;
  WorkerProcess& operator=(WorkerProcess&&) = delete;

  std::uint64_t id() const { return id_; }
  gate::WorkerPage& page() const { return *page_; }
  // For the fork; closed by Forked().
  int control_fd_of_child() const { return child_control_.fd(); }
  int page_fd() const { return page_fd_.get(); }
  int log_fd_of_child() const { return log_write_.get(); }

  // It was forked, and waits until it is let go.
  void Forked(OwnedFd pidfd);
  void LetGo();
  // What shall be in force by the agent is.
  void LetServe();
  // As the host sees it; 0 before Forked.
  int pid() const { return pid_; }

  int control_fd() const { return control_.fd(); }
  int log_fd() const { return log_read_.get(); }
  // True once, when it became ready. Closes the channel when the worker spoiled it.
  bool ReadReady();
  void ReadLog();
  std::string LastWords() const { return log_.LastWords(); }
  const std::vector<std::string>& layers() const { return layers_; }
  void AddLayer(std::string_view layer) { layers_.emplace_back(layer); }

  void SendMembers(const std::vector<Member>& members);
  void AskToStop();
  void Kill();
  // Walks the process's pages: some milliseconds. Nothing when it cannot be known.
  std::optional<MemoryFigures> ReadMemory() const { return ReadSmapsRollup(smaps_rollup_.get()); }

 private:
  WorkerProcess(std::uint64_t id, std::string who) : id_(id), log_(std::move(who)) {}

  std::uint64_t id_;
  OwnedFd page_fd_;
  gate::WorkerPage* page_ = nullptr;
  zygote::Channel control_;
  zygote::Channel child_control_;
  OwnedFd log_read_;
  OwnedFd log_write_;
  OwnedFd pidfd_;
  OwnedFd smaps_rollup_;
  int pid_ = 0;
  LineReader lines_{2 << 10};
  LogRelay log_;
  std::vector<std::string> layers_;
  bool was_ready_ = false;
};

}  // namespace allod::inference::node
