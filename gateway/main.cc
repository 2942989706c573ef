// allod-gateway: the HTTP door of the platform. Wiring only.
#include <filesystem>
#include <vector>

#include "gateway/gateway.h"
#include "gateway/operators/grpc_proxy.h"
#include "services/common/log.h"
#include "services/common/rpc/server.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"

namespace {

using allod::Caller;
using allod::Result;
using allod::Role;
using allod::Status;
using allod::gateway::Gateway;
using allod::gateway::GatewayConfig;
using allod::gateway::operators::GrpcProxy;

// A descriptor for each connection, and more.
constexpr std::uint64_t kOpenFilesMax = 1 << 20;

// Serves operators of one role at an address for whoever can open it; null: there is none.
Result<std::unique_ptr<allod::Server>> ListenForRole(const std::string& listen, GrpcProxy& proxy) {
  if (listen.empty()) return std::unique_ptr<allod::Server>();
  return allod::Server::Start({.listen = listen, .credentials = {.by_file_mode = true}}, {}, &proxy);
}

Status Run(const GatewayConfig& config, allod::StopSignal& stop) {
  // Where names are resolved may be said outside of /etc, by a link there.
  std::vector<std::filesystem::path> reads{config.api_key_pepper_file, "/etc/resolv.conf"};
  if (!config.issuer_ca_file.empty()) reads.emplace_back(config.issuer_ca_file);
  std::vector<std::filesystem::path> writes{config.journal_dir, allod::sandbox::SocketDirectory(config.grpc_listen)};
  for (const std::string& listen : {config.support_grpc_listen, config.auditor_grpc_listen}) {
    if (!listen.empty()) writes.push_back(allod::sandbox::SocketDirectory(listen));
  }
  allod::sandbox::EnterServiceSandbox(
      {.reads = reads, .writes = writes, .network = true, .open_files_max = kOpenFilesMax});
  ALLOD_TRY(const std::string pepper, allod::ReadSecretFile(config.api_key_pepper_file));
  ALLOD_TRY(const std::unique_ptr<Gateway> gateway, Gateway::Start(config, pepper));
  allod::Log(allod::LogLevel::kInfo, "listening",
             {{"http", config.http.listen},
              {"port", std::to_string(gateway->port())},
              {"operators", config.operators_listen},
              {"operators_port", std::to_string(gateway->operators_port())}});
  const allod::gateway::operators::ProxyTargets targets{config.tenancy_target, config.catalog_target,
                                                        config.billing_target, config.scheduling_target};
  // Those of the roles first: who waits for the operators' own address finds them.
  GrpcProxy support_proxy(targets, Caller::Operator({Role::ROLE_SUPPORT}));
  ALLOD_TRY(const auto support, ListenForRole(config.support_grpc_listen, support_proxy));
  GrpcProxy auditor_proxy(targets, Caller::Operator({Role::ROLE_OPERATOR_AUDITOR}));
  ALLOD_TRY(const auto auditor, ListenForRole(config.auditor_grpc_listen, auditor_proxy));
  GrpcProxy proxy(targets);
  std::unique_ptr<allod::Server> operators;
  if (!config.grpc_listen.empty()) {
    ALLOD_TRY(operators, allod::Server::Start({.listen = config.grpc_listen}, {}, &proxy));
  }
  stop.Ready();
  stop.Wait();
  for (allod::Server* server : {operators.get(), support.get(), auditor.get()}) {
    if (server != nullptr) server->Stop(std::chrono::milliseconds(500));
  }
  gateway->Stop();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  return allod::ServiceMain<GatewayConfig>(argc, argv, "gateway", "OpenAI-compatible API and portal API",
                                           allod::gateway::LoadGatewayConfig, Run);
}
