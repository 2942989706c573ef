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
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/common/owned_fd.h"
#include "services/common/result.h"
#include "services/common/rpc/accept_loop.h"

namespace allod {

class Listener {
 public:
  // Listens; `address` as CheckUnixAddress wants it. INVALID_ARGUMENT / INVALID_ADDRESS or CANNOT_LISTEN.
  static Result<std::unique_ptr<Listener>> Open(const std::string& address, std::vector<uid_t> peer_uids);
  // No more connections; removes the file.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Starts a thread that accepts; each connection that may be here goes to `accepted` (accept_loop.h). Call once.
  void Start(std::function<void(OwnedFd)> accepted);

 private:
  Listener(OwnedFd listening, std::string path, std::vector<uid_t> peer_uids)
      : listening_(std::move(listening)), path_(std::move(path)), peer_uids_(std::move(peer_uids)) {}
  bool MayConnect(const OwnedFd& connection) const;

  OwnedFd listening_;  // until Start
  const std::string path_;
  const std::vector<uid_t> peer_uids_;
  std::optional<AcceptLoop> loop_;  // last: it uses everything above
};

}  // namespace allod
