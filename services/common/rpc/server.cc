#include "services/common/rpc/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace allod {
namespace {

// What a method needs to send its answer; with less left, work would be done for nobody.
constexpr std::chrono::milliseconds kAnswerTime{20};

std::unexpected<Error> CannotListen(const std::string& listen, std::string_view why) {
  return InvalidArgument("CANNOT_LISTEN", fmt::format("cannot listen on {}: {}", listen, why));
}

// A socket file that nobody answers on is removed; one that a live server holds is an error, as would be any other
// file.
Status ClearSocket(const std::string& listen) {
  constexpr std::string_view kPrefix = "unix:";
  if (!listen.starts_with(kPrefix)) return {};
  std::string path = listen.substr(kPrefix.size());
  if (path.starts_with("//")) path.erase(0, 2);
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    return CannotListen(listen, fmt::format("the path has more than {} characters", sizeof address.sun_path - 1));
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return CannotListen(listen, "a file that is no socket is in the way");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(listen, std::strerror(errno));
  const bool answered = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  if (answered) return CannotListen(listen, "another process serves there; stop it first");
  unlink(path.c_str());
  return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config, const std::vector<grpc::Service*>& services,
                                              grpc::CallbackGenericService* fallback) {
  const bool listens = !config.listen.empty();
  if (listens) ALLOD_CHECK_OK(ClearSocket(config.listen));
  // Never given back: when the last user of gRPC goes, the library's own shutdown may wait 10 s for its backup poller.
  static const bool keep_library = (grpc_init(), true);
  (void)keep_library;
  grpc::EnableDefaultHealthCheckService(listens);
  if (listens) grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  std::unique_ptr<Server> out(new Server);
  if (listens) builder.AddListeningPort(config.listen, grpc::InsecureServerCredentials(), &out->port_);
  builder.SetMaxReceiveMessageSize(config.message_bytes_max);
  builder.SetMaxSendMessageSize(config.message_bytes_max);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(config.threads_max);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
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
  if (!out->server_) return CannotListen(config.listen, "the address is malformed, in use or not allowed");
  return out;
}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

void Server::Adopt(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  grpc::AddInsecureChannelFromFd(server_.get(), fd);
}

void Server::Stop(std::chrono::milliseconds grace) {
  if (!server_) return;
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

Status RunCatching(const std::function<Status()>& fn) {
  try {
    return fn();
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "an RPC method threw", {{"what", e.what()}});
  } catch (...) {
    Log(LogLevel::kError, "an RPC method threw something that is no exception");
  }
  return Internal("the service failed inside; its log says more");
}

grpc::Status FinishRpc(RpcObservation& observation, const Status& status) {
  if (status) {
    observation.Finish(Code::kOk);
    return grpc::Status::OK;
  }
  const Error& error = status.error();
  observation.Finish(error.code);
  const bool ours = error.code == Code::kInternal || error.code == Code::kUnknown || error.code == Code::kDataLoss;
  Log(ours ? LogLevel::kError : LogLevel::kInfo, "rpc failed",
      {{"method", observation.method()},
       {"code", std::string(CodeName(error.code))},
       {"reason", error.reason},
       {"message", error.message}});
  return ToGrpc(error);
}

}  // namespace allod
