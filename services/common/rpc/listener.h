// Listens on a Unix socket and hands on the connections of those who may connect.
//
// A connection that the credentials do not admit is closed at once. The file is there for its owner only, or for the
// group of a directory that hands its group down (setgid). A stale socket file is replaced.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "services/common/owned_fd.h"
#include "services/common/result.h"
#include "services/common/rpc/accept_loop.h"
#include "services/common/rpc/credentials.h"

namespace allod {

class Listener {
 public:
  // Listens; `address` as CheckUnixAddress wants it. INVALID_ARGUMENT / INVALID_ADDRESS or CANNOT_LISTEN.
  static Result<std::unique_ptr<Listener>> Open(const std::string& address, Credentials credentials);
  // No more connections; removes the file.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Starts a thread that accepts; each connection that may be here goes to `accepted` (accept_loop.h). Call once.
  void Start(std::function<void(OwnedFd)> accepted);

 private:
  Listener(OwnedFd listening, std::string path, Credentials credentials)
      : listening_(std::move(listening)), path_(std::move(path)), credentials_(std::move(credentials)) {}

  OwnedFd listening_;  // until Start
  const std::string path_;
  const Credentials credentials_;
  std::optional<AcceptLoop> loop_;  // last: it uses everything above
};

}  // namespace allod
