// The nodes' figures for /metrics, asked of scheduling when somebody scrapes, and kept for a second.
//
// At most 1000 replicas and 100 nodes. One question at a time: a scrape that comes while another one asks is given what
// was known before. Thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "gateway/response_writer.h"

namespace allod::gateway {

class PoolFigures {
 public:
  explicit PoolFigures(const std::shared_ptr<grpc::Channel>& scheduling)
      : scheduling_(scheduling::v1::NodeService::NewStub(scheduling)) {}

  // Prometheus text; empty while scheduling does not answer within half a second. `out` is of the request that asks.
  Awaitable<std::string> Text(ResponseWriter& out);

 private:
  // Whether the caller shall ask anew; else `text` is what is known.
  bool BeginToAsk(std::string& text);
  // Not an answer: the client that asked has left, and nothing is known about scheduling.
  void Keep(const std::string& text, bool is_answer);

  const std::unique_ptr<scheduling::v1::NodeService::Stub> scheduling_;
  std::mutex mutex_;
  std::string text_;
  std::chrono::steady_clock::time_point fresh_until_;
  bool asking_ = false;
};

}  // namespace allod::gateway
