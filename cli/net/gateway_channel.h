// A channel to the services through a gateway's portal API, as the person who signed in: whatever stub is made on it, a
// unary call becomes the HTTP request of its annotation (http_call.h), and the answer its message or its error with
// code and reason. So a command is written once, for the operator at the sockets and for people anywhere.
//
// Thread-safe; a call blocks until its deadline at most. What is no part of the portal API fails with OPERATORS_ONLY.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace allod::cli::net {

struct GatewaySession {
  std::string gateway;  // "https://allod.example"
  std::string token;
  // Whose roles count where a request names no project: `tenants/{tenant}/projects/{project}`; may be empty.
  std::string project;
};

class GatewayChannel {
 public:
  explicit GatewayChannel(GatewaySession session);
  ~GatewayChannel();  // no call may be under way
  GatewayChannel(const GatewayChannel&) = delete;

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  class Bridge;

  const std::unique_ptr<Bridge> bridge_;
  std::unique_ptr<grpc::Server> server_;  // of this process alone: it listens nowhere
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace allod::cli::net
