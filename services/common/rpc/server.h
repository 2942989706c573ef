// A gRPC server with the platform's limits, health service, reflection and per-method metrics, and the wrapper that
// every RPC method is one call of.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/common/clock.h"
#include "services/common/log.h"
#include "services/common/metrics.h"
#include "services/common/rpc/access.h"
#include "services/common/rpc/call.h"
#include "services/common/rpc/call_gate.h"
#include "services/common/rpc/credentials.h"
#include "services/common/rpc/listener.h"
#include "services/common/rpc/method.h"
#include "services/common/rpc/status.h"

namespace allod {

struct ServerConfig {
  // "unix:/path/x.sock" (unix_address.h says why nothing else); a stale socket file is replaced. Empty: serves adopted
  // connections only.
  std::string listen;
  // Who may connect to `listen`.
  Credentials credentials = {};
  int threads_max = 256;  // one for each call that runs; further calls are refused. They end when they are idle.
  int message_bytes_max = 4 << 20;
  int streams_per_connection_max = 256;  // further calls of one client wait at the client
  // What is kept of a stream for a peer that does not read; 0: gRPC's own, 64 KiB.
  int write_buffer_bytes = 0;
};

// A server of this process alone: it listens nowhere and is reached by InProcessChannel() only. Whatever is called,
// `answers` answers; it must outlive the server.
std::unique_ptr<grpc::Server> MakeInProcessServer(grpc::CallbackGenericService& answers, int message_bytes_max);

class Server {
 public:
  // Starts to serve. `fallback` gets the calls of every method that `services` do not have. INVALID_ARGUMENT /
  // INVALID_ADDRESS or CANNOT_LISTEN; FAILED_PRECONDITION / INVALID_ACCESS_RULE for a method of theirs whose proto does
  // not say who may call it.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config, const std::vector<grpc::Service*>& services,
                                               grpc::CallbackGenericService* fallback = nullptr);
  ~Server();  // Stop(0)
  // No new calls; running ones may finish until `grace` is over, then they are cancelled. Streams see IsCancelled().
  void Stop(std::chrono::milliseconds grace);
  // Serves a connection that was accepted elsewhere, and closes it in the end: for processes that may not make sockets.
  void Adopt(OwnedFd connection);

 private:
  Server() = default;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Listener> listener_;
};

// `fn`, with what it throws as INTERNAL / INTERNAL.
Status RunCatching(const std::function<Status()>& fn);
// Counts the call, logs its failure, and says it to gRPC.
grpc::Status FinishRpc(RpcObservation& observation, const Status& status);

// What the wrappers below are made of: runs `fn` as `method` for whom it admits, in the scope of the call.
grpc::Status RunMethod(const Method& method, const grpc::ServerContext& context,
                       const google::protobuf::Message* request, const std::function<Status(const Call&)>& fn);

// A place for the call; the gate's refusal, or what CheckAwaited() says when the wait took until nobody waits for the
// answer any more.
Result<CallGate::Pass> TakePlace(CallGate& gate, const Call& call);

// What `work` returns, run while the gate has a place for the caller.
template <typename Work>
auto InTurn(CallGate& gate, const Call& call, Work&& work) -> decltype(work()) {
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gate, call));
  return work();
}

template <typename Resp, typename Fn>
grpc::Status RunUnary(const Method& method, const grpc::ServerContext& context,
                      const google::protobuf::Message& request, Resp& response, Fn&& fn) {
  return RunMethod(method, context, &request, [&](const Call& call) -> Status {
    ALLOD_CHECK_OK(CheckAwaited(call));
    ALLOD_TRY(response, fn(call));
    return {};
  });
}

// Runs one unary method: identity, authorisation by the rule in its proto (access.h), deadline (refused with
// DEADLINE_EXCEEDED when under 20 ms are left), trace, metrics, log of failures, exceptions, status mapping. The method
// is found by its request. `fn(call)` does convert, call, convert:
//
//   grpc::Status GetTenant(grpc::ServerContext* ctx, const GetTenantRequest* req, Tenant* resp) override {
//     return Handle(ctx, req, resp, [&](const Call& call) -> Result<Tenant> {
//       ...
//     });
//   }
//
// While it runs, the call is that of its thread (call_scope.h).
template <typename Req, typename Resp, typename Fn>
grpc::Status Handle(grpc::ServerContext* context, const Req* request, Resp* response, Fn&& fn) {
  return RunUnary(MethodOf<Req>(), *context, *request, *response, std::forward<Fn>(fn));
}

// The same for a method of google.longrunning.Operations, asked about what `Owner` (v1::InstanceService) does.
template <typename Owner, typename Req, typename Resp, typename Fn>
grpc::Status HandleOperation(grpc::ServerContext* context, const Req* request, Resp* response, Fn&& fn) {
  return RunUnary(OperationsMethodOf<Owner, Req>(), *context, *request, *response, std::forward<Fn>(fn));
}

// The same for a server-streaming method, whatever is left of its deadline: `fn(call) -> Status` writes to the stream
// itself.
template <typename Req, typename Fn>
grpc::Status HandleStream(grpc::ServerContext* context, const Req* request, Fn&& fn) {
  return RunMethod(MethodOf<Req>(), *context, request, std::forward<Fn>(fn));
}

// And for a client-streaming one, whose rule asks about no resource.
template <typename Req, typename Fn>
grpc::Status HandleStream(grpc::ServerContext* context, grpc::ServerReader<Req>* /*reader*/, Fn&& fn) {
  return RunMethod(MethodOf<Req>(), *context, nullptr, std::forward<Fn>(fn));
}

}  // namespace allod
