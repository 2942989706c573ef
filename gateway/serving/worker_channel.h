// The connection to one worker, made so that a sleeping worker is left asleep.
//
// A worker that has nothing to do ends; its socket stays, held by the node agent, and the next connection starts it
// again. So a connection is made only when a call asks for it, waits as long as starting takes, and is never made again
// by itself: what fails is discarded, and the next call begins anew. There are no keepalive pings. Windows are small:
// what a stalled client has not read waits in the worker, not here. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>

namespace allod::gateway::serving {

class WorkerChannel {
 public:
  explicit WorkerChannel(std::string target) : target_(std::move(target)) {}
  WorkerChannel(const WorkerChannel&) = delete;

  std::shared_ptr<grpc::Channel> Get();
  // `failed` came from Get(); calls that run on it go on, later ones get another.
  void Discard(const std::shared_ptr<grpc::Channel>& failed);

 private:
  const std::string target_;
  std::mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace allod::gateway::serving
