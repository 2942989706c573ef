// Listens on a Unix socket and hands on the connections of those who may connect.
//
// Who calls is stated in metadata and believed (caller.h), so who connects must be one of the installation: the kernel
// tells the user of the other end (SO_PEERCRED, unix(7)), and a connection of anybody but root, this process's own user
// and the users that were named is closed at once and logged. The file is there for its owner only, or for the group of
// a directory that hands its group down (setgid). A stale socket file is replaced.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "services/common/result.h"

namespace allod {

class Listener {
 public:
  // Listens; `address` as CheckUnixAddress wants it. INVALID_ARGUMENT / INVALID_ADDRESS or CANNOT_LISTEN.
  static Result<std::unique_ptr<Listener>> Open(const std::string& address, std::vector<uid_t> peer_uids);
  // No more connections; removes the file.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Starts a thread that accepts. `accepted` owns the descriptor that it gets, which does not block. Call once.
  void Start(std::function<void(int fd)> accepted);

 private:
  Listener(int fd, int stop, std::string path, std::vector<uid_t> peer_uids);
  void Run();
  bool MayConnect(int fd);

  const int fd_;
  const int stop_;
  const std::string path_;
  const std::vector<uid_t> peer_uids_;
  std::function<void(int fd)> accepted_;
  std::thread thread_;
};

}  // namespace allod
