// Keeps one server stream of another service alive on a thread of its own: runs it, and runs it again whenever it ends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "services/common/owned_thread.h"
#include "services/common/rpc/caller.h"

namespace allod {

class WatchLoop {
 public:
  // Starts the thread. `run` opens the stream with the context it is given, reads until it ends and returns its status.
  // `name` appears in the log; `self` is who watches.
  WatchLoop(std::string name, Caller self, std::function<grpc::Status(grpc::ClientContext&)> run);
  WatchLoop(const WatchLoop&) = delete;
  // Cancels the stream and joins; so does the destructor.
  void Stop() { thread_.Stop(); }

 private:
  void Loop(const std::stop_token& stop);

  const std::string name_;
  const Caller self_;
  const std::function<grpc::Status(grpc::ClientContext&)> run_;
  OwnedThread thread_;
};

}  // namespace allod
