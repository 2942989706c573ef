// A zygote: a process with one thread that has one model in memory and forks a worker on request.
//
// Forked workers share the model's pages, also those that the engine rearranged into private memory while loading,
// until somebody writes to them, which nobody does. So a further instance costs its KV cache and little else, and is
// there in milliseconds.
//
// It reads foreign models, so it may be taken over while it loads one. Then it has that model, its workers' pages, and
// what it is handed for them; no file, no network, and of /proc its own processes only.
//
// It obeys one Channel, whose end it ends with. Messages from the agent: {"type":"fork", worker spec} with the
// descriptors of WorkerFd. To the agent: "map" (wants uid maps; answered by "mapped" with "uids"), "resident", "forked"
// with the worker's pidfd, "fork_failed", "exited". Its workers die with it: it is the init of their pid namespace.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/sandbox/namespaces.h"
#include "inference/sandbox/seccomp.h"
#include "inference/zygote/channel.h"
#include "inference/zygote/worker_messages.h"

namespace allod::inference::zygote {

// What a forked worker starts with; all of it belongs to the worker alone.
struct WorkerStart {
  WorkerSpec spec;
  std::vector<OwnedFd> fds;  // by WorkerFd
  sandbox::Layers layers;    // in force already
  const sandbox::SyscallFilter* serving_filter = nullptr;
  // Files of its own in /proc, opened before that was out of reach; they can be read again and again.
  OwnedFd smaps_rollup;
  OwnedFd statm;
};

struct ZygoteOptions {
  bool strict = false;
};

class Zygote {
 public:
  // The body of a worker process: runs until it is to end and returns its exit status.
  using WorkerBody = std::function<int(WorkerStart)>;

  // Enters namespaces and the empty root; the rest of the process's life is pid 1 of its own world. Before any thread
  // is started and before any foreign byte is read. FAILED_PRECONDITION / SANDBOX_INCOMPLETE when strict.
  static Result<Zygote> Enter(Channel channel, const ZygoteOptions& options);

  // The model is in memory.
  Status AnnounceResident(const nlohmann::json& facts);
  // Forks on request until the channel ends. In the forked children it runs `body` and ends the process.
  Status Serve(const WorkerBody& body);

 private:
  struct Child {
    pid_t pid = 0;
    std::uint64_t id = 0;
    std::uint32_t uid = 0;
  };

  Zygote(Channel channel, sandbox::ZygoteNamespaces namespaces, sandbox::SyscallFilter serving_filter, OwnedFd children)
      : channel_(std::move(channel)),
        namespaces_(std::move(namespaces)),
        serving_filter_(std::move(serving_filter)),
        children_fd_(std::move(children)) {}

  Status Fork(Message request, const WorkerBody& body);
  [[noreturn]] void RunWorker(WorkerSpec spec, std::vector<OwnedFd> fds, bool own_pid_namespace, std::uint32_t uid,
                              const WorkerBody& body);
  Status Reap();
  std::uint32_t TakeUid();

  Channel channel_;
  sandbox::ZygoteNamespaces namespaces_;
  sandbox::SyscallFilter serving_filter_;
  OwnedFd children_fd_;  // signalfd of SIGCHLD
  std::vector<Child> children_;
  std::uint32_t last_uid_ = 0;
};

}  // namespace allod::inference::zygote
