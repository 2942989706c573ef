// Accepts the connections of a listening socket, on a thread of its own.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "services/common/owned_fd.h"
#include "services/common/wake_fd.h"

namespace allod {

class AcceptLoop {
 public:
  // `accepted` gets each connection, which does not block, on the loop's thread. `what` names the thread to who reads
  // why the process ended (catching.h): one that accepts nobody any more is worth less than one that is started anew.
  AcceptLoop(OwnedFd listening, std::string what, std::function<void(OwnedFd)> accepted);
  ~AcceptLoop();  // connections that come now are refused, or wait for whoever else listens on the socket
  AcceptLoop(const AcceptLoop&) = delete;
  AcceptLoop& operator=(const AcceptLoop&) = delete;

 private:
  void Run();

  const OwnedFd listening_;
  const WakeFd stop_;
  const std::function<void(OwnedFd)> accepted_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace allod
