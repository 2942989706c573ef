#include "services/common/rpc/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/server_posix.h>

#include <string_view>
#include <utility>

#include "services/common/catching.h"

namespace allod {
namespace {

// What a method needs to send its answer; with less left, work would be done for nobody.
constexpr std::chrono::milliseconds kAnswerTime{20};

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config, const std::vector<grpc::Service*>& services,
                                              grpc::CallbackGenericService* fallback) {
  const bool listens = !config.listen.empty();
  std::unique_ptr<Listener> listener;
  if (listens) {
    ALLOD_TRY(listener, Listener::Open(config.listen, config.peer_uids));
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
  if (listener) {
    out->listener_ = std::move(listener);
    out->listener_->Start([server = out.get()](OwnedFd connection) { server->Adopt(std::move(connection)); });
  }
  return out;
}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

void Server::Adopt(OwnedFd connection) {
  fcntl(connection.get(), F_SETFL, fcntl(connection.get(), F_GETFL) | O_NONBLOCK);
  grpc::AddInsecureChannelFromFd(server_.get(), connection.Release());
}

void Server::Stop(std::chrono::milliseconds grace) {
  if (!server_) return;
  listener_.reset();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
  server_.reset();
}

Status CheckDeadline(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return {};
  if (deadline - std::chrono::system_clock::now() >= kAnswerTime) return {};
  return Fail(Code::kDeadlineExceeded, "DEADLINE_TOO_NEAR",
              fmt::format("less than {} ms of the deadline were left when the call arrived; allow more time",
                          kAnswerTime.count()));
}

Status RunCatching(const std::function<Status()>& fn) { return Catching("an RPC method", fn); }

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
