// Accepts a worker's connections on a socket that it was handed, and gives them to the gRPC server: the worker itself
// may neither make nor bind a socket.
#pragma once

#include <sys/types.h>

#include <thread>

#include "services/common/owned_fd.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {

class Acceptor {
 public:
  // `server` must outlive it.
  Acceptor(OwnedFd listening, Server& server);
  ~Acceptor();  // connections that come now wait for the next worker
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

 private:
  void Run();

  OwnedFd listening_;
  OwnedFd stop_;
  Server& server_;
  std::thread thread_;
};

}  // namespace allod::inference::worker
