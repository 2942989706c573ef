// The node agent's end of one zygote: a resident model and the workers that are forked from it.
//
// A zygote reads foreign models and may be taken over: what it says is bounded and checked, and what no zygote of ours
// says ends it, and with it the workers of that model.
//
// The zygote and all its workers end when this is destroyed, and when the thread that started it ends. Not thread-safe.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "inference/node/process/child_process.h"
#include "inference/node/process/log_relay.h"
#include "inference/node/process/memory_figures.h"
#include "inference/node/process/rate_bound.h"
#include "inference/zygote/channel.h"
#include "inference/zygote/worker_messages.h"
#include "services/common/result.h"

namespace allod::inference::node::process {

struct ZygoteOptions {
  std::filesystem::path executable;  // of the model's runtime
  std::filesystem::path model;
  std::string sha256;
  bool private_weights = false;
  bool strict = false;
  std::uint32_t first_uid = 0;  // of the block of uids for it and its workers, if this process may map them; 0: none
};

class ZygoteProcess {
 public:
  struct Resident {
    double load_seconds = 0;
    std::int64_t kv_bytes_per_token_max = 0;
  };
  struct Forked {
    std::uint64_t id = 0;
    OwnedFd pidfd;
  };
  struct WorkerEnded {
    std::uint64_t id = 0;
    pool::ProcessExit exit;
  };
  using Event = std::variant<Resident, Forked, WorkerEnded>;

  // UNAVAILABLE / CANNOT_START_PROCESS; NOT_FOUND when there is no such model.
  static Result<ZygoteProcess> Start(const ZygoteOptions& options);
  ZygoteProcess(ZygoteProcess&&) noexcept = default;

  // For poll(): readable when there is something for ReadEvents, ReadLog, TryReap.
  int channel_fd() const { return channel_.fd(); }
  int stderr_fd() { return log_bytes_.IsSpent(std::chrono::steady_clock::now()) ? -1 : process_.stderr_fd(); }
  int exit_fd() const { return process_.exit_fd(); }
  int pid() const { return process_.pid(); }

  // Does not wait. Answers the zygote's own requests.
  std::vector<Event> ReadEvents();
  void ReadLog();
  std::optional<pool::ProcessExit> TryReap();
  // The descriptors are those of zygote::WorkerFd. UNAVAILABLE when the zygote is gone.
  Status Fork(const zygote::WorkerSpec& spec, const std::vector<int>& fds);
  // See ReadSmapsRollup.
  std::optional<MemoryFigures> ReadMemory() const { return ReadSmapsRollup(smaps_rollup_.get()); }
  void Kill() { process_.Signal(SIGKILL); }
  // It did what no zygote of ours does: ends it, and says why when it is reaped.
  void Accuse(std::string lie);
  bool was_accused() const { return !lie_.empty(); }

 private:
  ZygoteProcess(ChildProcess process, zygote::Channel channel, const ZygoteOptions& options)
      : process_(std::move(process)),
        channel_(std::move(channel)),
        log_("zygote " + options.sha256.substr(0, 12)),
        first_uid_(options.first_uid) {}
  std::optional<Event> EventOf(zygote::Message message);

  ChildProcess process_;
  zygote::Channel channel_;
  LogRelay log_;
  RateBound log_bytes_{256 << 10};
  RateBound messages_{4096};  // far more than it can fork
  std::string lie_;
  bool is_mapped_ = false;
  bool is_resident_ = false;
  OwnedFd smaps_rollup_;
  std::uint32_t first_uid_;
  std::chrono::steady_clock::time_point closed_at_;
};

}  // namespace allod::inference::node::process
