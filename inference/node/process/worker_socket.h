// The sockets that gateways reach workers by. The node agent listens on them, not the workers, so that a connection can
// be made at any time: it waits in the backlog while its worker starts, restarts or is woken.
#pragma once

#include <filesystem>
#include <string>

#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::node::process {

// Longest run directory whose socket paths still fit into a sockaddr_un.
inline constexpr std::size_t kRunDirBytesMax = 80;

// Makes the directory and removes sockets that an agent before left there. FAILED_PRECONDITION / NO_RUN_DIR.
Status PrepareRunDir(const std::filesystem::path& run_dir);

class WorkerSocket {
 public:
  // Listens. Its name in `run_dir` is made from the worker's key; who may connect says the directory (unix_address.h).
  // UNAVAILABLE / CANNOT_LISTEN.
  static Result<WorkerSocket> Listen(const std::filesystem::path& run_dir, const std::string& worker_key);
  ~WorkerSocket();  // removes the file; who waits in the backlog is refused
  WorkerSocket(WorkerSocket&&) noexcept = default;
  WorkerSocket& operator=(WorkerSocket&&) = delete;

  int fd() const { return fd_.get(); }
  std::string target() const { return "unix:" + path_.string(); }

 private:
  WorkerSocket(OwnedFd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  OwnedFd fd_;
  std::filesystem::path path_;
};

}  // namespace allod::inference::node::process
