// The nodes' figures for /metrics, asked of scheduling when somebody scrapes, and kept for a second.
//
// All nodes and replicas, page by page. One question at a time: a scrape that comes while another one asks is given
// what was known before. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "gateway/http/response_writer.h"

namespace allod::gateway::operators {

class PoolFigures {
 public:
  explicit PoolFigures(const std::shared_ptr<grpc::Channel>& scheduling)
      : scheduling_(scheduling::v1::NodeService::NewStub(scheduling)) {}

  // Prometheus text; empty while scheduling does not answer: half a second for a page. `out` is of the request that
  // asks.
  http::Awaitable<std::string> Text(http::ResponseWriter& out);

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  using Async = scheduling::v1::NodeService::StubInterface::async_interface;
  template <typename Request, typename Response>
  using ListMethod = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                                     std::function<void(grpc::Status)>);
  // However it is left: else every later scrape would be given what was known then.
  struct Asking {
    explicit Asking(PoolFigures& f) : figures(f) {}
    ~Asking() { figures.EndAsking(); }
    Asking(const Asking&) = delete;
    PoolFigures& figures;
  };

  // Whether the caller shall ask anew, until EndAsking(); else `text` is what is known.
  bool BeginToAsk(std::string& text);
  void EndAsking();
  void Keep(const std::string& text);
  template <typename Request, typename Response>
  http::Awaitable<grpc::Status> ListAll(ListMethod<Request, Response> method, Request request, Response& all,
                                        SteadyTime deadline, http::ResponseWriter& out);

  const std::unique_ptr<scheduling::v1::NodeService::Stub> scheduling_;
  std::mutex mutex_;
  std::string text_;
  std::chrono::steady_clock::time_point fresh_until_;
  bool asking_ = false;
};

}  // namespace allod::gateway::operators
