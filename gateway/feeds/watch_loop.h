// Keeps one server stream of another service alive on a thread of its own: runs it, and runs it again whenever it ends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace allod::gateway::feeds {

class WatchLoop {
 public:
  // Starts the thread. `run` opens the stream with the context it is given, reads until it ends and returns its status.
  // `name` appears in the log.
  WatchLoop(std::string name, std::function<grpc::Status(grpc::ClientContext&)> run);
  ~WatchLoop();  // Stop()
  WatchLoop(const WatchLoop&) = delete;
  // Cancels the stream and joins.
  void Stop();

 private:
  void Loop();

  const std::string name_;
  const std::function<grpc::Status(grpc::ClientContext&)> run_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  grpc::ClientContext* running_ = nullptr;  // while run_ runs
  std::thread thread_;
};

}  // namespace allod::gateway::feeds
