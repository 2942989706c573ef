#include "services/common/rpc/server.h"

#include <fmt/format.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/impl/server_initializer.h>

#include <string_view>
#include <utility>

#include "services/common/call_scope.h"
#include "services/common/catching.h"
#include "services/common/rpc/access_observer.h"

namespace allod {
namespace {

constexpr int kMetadataBytesMax = 32 << 10;

}  // namespace

std::unique_ptr<grpc::Server> MakeInProcessServer(grpc::CallbackGenericService& answers, int message_bytes_max) {
  // As in Server::Start().
  static const bool keep_library = (grpc_init(), true);
  (void)keep_library;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(message_bytes_max);
  builder.RegisterCallbackGenericService(&answers);
  return builder.BuildAndStart();
}

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config, const std::vector<grpc::Service*>& services,
                                              grpc::CallbackGenericService* fallback) {
  const bool listens = !config.listen.empty();
  std::unique_ptr<Listener> listener;
  if (listens) {
    ALLOD_TRY(listener, Listener::Open(config.listen, config.credentials));
  }
  // Never given back: when the last user of gRPC goes, the library's own shutdown may wait 10 s for its backup poller.
  static const bool keep_library = (grpc_init(), true);
  (void)keep_library;
  grpc::EnableDefaultHealthCheckService(listens);
  if (listens) grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  std::unique_ptr<Server> out(new Server);
  builder.SetMaxReceiveMessageSize(config.message_bytes_max);
  builder.SetMaxSendMessageSize(config.message_bytes_max);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(config.threads_max);
  builder.SetResourceQuota(quota);
  // Of one call: who makes it takes most (Caller::kTextBytesMax).
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, config.streams_per_connection_max);
  if (config.write_buffer_bytes > 0) {
    builder.AddChannelArgument(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, config.write_buffer_bytes);
  }
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  for (grpc::Service* service : services) builder.RegisterService(service);
  if (fallback != nullptr) builder.RegisterCallbackGenericService(fallback);
  out->server_ = builder.BuildAndStart();
  if (!out->server_) return Internal("the gRPC server cannot be started");
  // No connection was taken yet.
  ALLOD_CHECK_OK(CheckServices(*grpc::ServerInitializer(out->server_.get()).GetServiceList()));
  if (listener) {
    out->listener_ = std::move(listener);
    out->listener_->Start([server = out.get()](OwnedFd connection) { server->Adopt(std::move(connection)); });
  }
  return out;
}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

void Server::Adopt(OwnedFd connection) { Credentials::Serve(*server_, std::move(connection)); }

void Server::Stop(std::chrono::milliseconds grace) {
  if (!server_) return;
  listener_.reset();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
  server_.reset();
}

namespace {

// `fn` as the call of `principal`, who may make it.
Status RunAs(const Caller& principal, Deadline deadline, const Trace& trace, const grpc::ServerContext& context,
             const std::function<Status(const Call&)>& fn) {
  const CallScope scope(deadline, trace, principal.ToActor());
  return fn(Call{principal, deadline, trace, &context});
}

}  // namespace

Status RunCatching(const std::function<Status()>& fn) { return Catching("an RPC method", fn); }

grpc::Status RunMethod(const Method& method, const grpc::ServerContext& context,
                       const google::protobuf::Message* request, const std::function<Status(const Call&)>& fn) {
  RpcObservation observation(method.name.c_str());
  const Deadline deadline = DeadlineOf(context);
  const Trace trace = TraceOf(context);
  const CallScope scope(deadline, trace);
  return FinishRpc(observation, RunCatching([&]() -> Status {
                     ALLOD_TRY(const Caller caller, Caller::From(context));
                     const std::string resource = request != nullptr ? ResourceOf(method, *request) : "";
                     const Result<Caller> principal = Admit(method, caller, resource);
                     const Status done = principal ? RunAs(*principal, deadline, trace, context, fn)
                                                   : Status(std::unexpected(principal.error()));
                     TellObserver({method, caller, resource, trace.trace_id}, principal.has_value(), done);
                     return done;
                   }));
}

Result<CallGate::Pass> TakePlace(CallGate& gate, const Call& call) {
  ALLOD_TRY(CallGate::Pass pass, gate.Enter(call.principal));
  ALLOD_CHECK_OK(CheckAwaited(call));
  return pass;
}

grpc::Status FinishRpc(RpcObservation& observation, const Status& status) {
  if (status) {
    observation.Finish(Code::kOk);
    return grpc::Status::OK;
  }
  const Error& error = status.error();
  observation.Finish(error.code);
  const bool ours = error.code == Code::kInternal || error.code == Code::kUnknown || error.code == Code::kDataLoss;
  // What is wrong with what a caller sent may quote it (a schema, a prompt): that is for the caller to read, not for
  // the log.
  const bool is_quoting = error.code == Code::kInvalidArgument;
  Log(ours ? LogLevel::kError : LogLevel::kInfo, "rpc failed",
      {{"method", observation.method()},
       {"code", std::string(CodeName(error.code))},
       {"reason", error.reason},
       {"message", is_quoting ? "(told to the caller)" : error.message}});
  return ToGrpc(error);
}

}  // namespace allod
