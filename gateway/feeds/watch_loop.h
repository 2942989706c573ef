// Keeps one server stream of another service alive on a thread of its own: runs it, and runs it again whenever it ends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "services/common/owned_thread.h"

namespace allod::gateway::feeds {

class WatchLoop {
 public:
  // Starts the thread. `run` opens the stream with the context it is given, reads until it ends and returns its status.
  // `name` appears in the log.
  WatchLoop(std::string name, std::function<grpc::Status(grpc::ClientContext&)> run);
  WatchLoop(const WatchLoop&) = delete;
  // Cancels the stream and joins; so does the destructor.
  void Stop() { thread_.Stop(); }

 private:
  void Loop(const std::stop_token& stop);

  const std::string name_;
  const std::function<grpc::Status(grpc::ClientContext&)> run_;
  OwnedThread thread_;
};

}  // namespace allod::gateway::feeds
