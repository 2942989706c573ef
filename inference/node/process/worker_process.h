// The node agent's end of one forked worker: its page, its control channel, its log, and what it costs.
//
// A worker may be taken over: what it sends is bounded, in size and in number, and what no worker of ours says is a
// lie.
//
// Not thread-safe. Destroying it kills the process, if it still runs; its zygote reaps it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inference/gate/worker_page.h"
#include "inference/node/pool/desired.h"
#include "inference/node/process/child_process.h"
#include "inference/node/process/log_relay.h"
#include "inference/node/process/memory_figures.h"
#include "inference/node/process/rate_bound.h"
#include "inference/zygote/channel.h"
#include "inference/zygote/worker_messages.h"
#include "services/common/result.h"

namespace allod::inference::node::process {

class WorkerProcess {
 public:
  // Prepares everything that a fork needs. `bell` is its end of gate::Arbiter::MakeBell. UNAVAILABLE /
  // CANNOT_START_PROCESS.
  static Result<WorkerProcess> Prepare(std::uint64_t id, std::string who, OwnedFd bell);
  ~WorkerProcess();
  WorkerProcess(WorkerProcess&&) noexcept;
  WorkerProcess& operator=(WorkerProcess&&) = delete;

  std::uint64_t id() const { return id_; }
  gate::WorkerPage& page() const { return *page_; }
  // For the fork, by zygote::WorkerFd; closed by Forked().
  std::vector<int> fork_fds() const;

  // It was forked, and waits until it is let go. INVALID_ARGUMENT / NO_PIDFD when that is no process's descriptor.
  Status Forked(OwnedFd pidfd);
  void LetGo();
  // Whom it shall answer for, on which socket, counting in which ring. Told when it may serve.
  void Assign(std::string who, std::vector<ports::Member> members, int listen_fd, OwnedFd ring);
  // What shall be in force by the agent is.
  void LetServe();
  // As the host sees it; 0 before Forked.
  int pid() const { return pid_; }

  int control_fd() const { return control_.fd(); }
  // -1 while it said more than is read in a second: the rest waits, and it with it.
  int log_fd();
  struct Heard {
    bool ready = false;  // once, when it became ready
    std::string lie;     // what no worker of ours would do; empty when nothing is wrong
  };
  Heard ReadControl();
  // Members that it refused when it became ready.
  const std::vector<ports::RefusedMember>& refused_members() const { return refused_members_; }
  // Lists of members that it took since the last call; ReadControl() reads them.
  struct MembersTaken {
    std::uint64_t version = 0;
    std::vector<ports::RefusedMember> refused;
  };
  std::vector<MembersTaken> TakeMembersTaken() { return std::exchange(members_taken_, {}); }
  void ReadLog();
  std::string LastWords() const { return log_.LastWords(); }
  const std::vector<std::string>& layers() const { return layers_; }
  void AddLayer(std::string_view layer) { layers_.emplace_back(layer); }

  // Answered with MembersTaken. A worker that does not read is told again by who decides.
  void SendMembers(const std::vector<ports::Member>& members, std::uint64_t version);
  // Calls that progress may take so long still.
  void AskToStop(std::chrono::milliseconds drain);
  void Kill();
  // Walks the process's pages: some milliseconds. Nothing when it cannot be known.
  std::optional<MemoryFigures> ReadMemory() const { return ReadSmapsRollup(smaps_rollup_.get()); }

 private:
  WorkerProcess(std::uint64_t id, std::string who);
  void TellDuty();

  std::uint64_t id_;
  OwnedFd page_fd_;
  gate::WorkerPage* page_ = nullptr;
  zygote::Channel control_;
  zygote::Channel child_control_;
  OwnedFd bell_;
  OwnedFd log_read_;
  OwnedFd log_write_;
  OwnedFd pidfd_;
  OwnedFd smaps_rollup_;
  int pid_ = 0;
  LineReader lines_{2 << 10};
  LogRelay log_;
  RateBound log_bytes_;
  std::vector<std::string> layers_;
  struct Duty {
    std::vector<ports::Member> members;
    OwnedFd listen;
    OwnedFd ring;
  };
  std::optional<Duty> duty_;  // not told yet
  bool may_serve_ = false;
  bool was_assigned_ = false;
  bool was_ready_ = false;
  std::vector<ports::RefusedMember> refused_members_;
  std::vector<MembersTaken> members_taken_;
};

}  // namespace allod::inference::node::process
