// What ties the node to the scheduling service: one thread that follows the stream of desired sets, one that reports
// what runs, at every change and every 2 s.
//
// When the service is away the workers run on; the stream is opened again after 100 ms, then 200 ms, ... at most 2 s.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <stop_token>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "inference/node/config.h"
#include "inference/node/supervisor.h"
#include "services/common/owned_thread.h"

namespace allod::inference::node {

class SchedulingLink {
 public:
  // `supervisor` must outlive it. Starts both threads.
  SchedulingLink(const NodeConfig& config, std::shared_ptr<grpc::Channel> channel, Supervisor& supervisor);
  ~SchedulingLink();

  // No new desired sets after this; reports go on until the destructor, so that the end of the workers is told.
  void StopWatching();

 private:
  void Watch(const std::stop_token& stop);
  void Report(const std::stop_token& stop);

  const NodeConfig& config_;
  const std::unique_ptr<scheduling::v1::NodeAgentService::Stub> stub_;
  Supervisor& supervisor_;
  OwnedThread reporter_;
  OwnedThread watcher_;
};

}  // namespace allod::inference::node
