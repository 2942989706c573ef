#include "tests/bench/gateway_alone.h"

#include <filesystem>
#include <stdexcept>

#include "tests/integration/gateway_http_client.h"

namespace allod::bench {

GatewayAlone::GatewayAlone(int key_count, int keys_kept, const nlohmann::json& more) {
  for (int i = 0; i < key_count; ++i) {
    const std::string key = tenancy_.AddKey(gateway::kProject, {});
    if (i < keys_kept) keys_.push_back(key);
  }
  Serve("tenancy", {&tenancy_, &projects_, &identities_});
  Serve("scheduling", {&routes_});
  Serve("billing", {&billing_});
  Serve("worker", {&worker_});
  routes_.SetTargets({Target("worker")});

  directory_.Write("pepper", gateway::kPepper);
  nlohmann::json config = {{"http_listen", "127.0.0.1:0"},
                           {"tenancy_target", Target("tenancy")},
                           {"catalog_target", Target("catalog")},
                           {"billing_target", Target("billing")},
                           {"scheduling_target", Target("scheduling")},
                           {"requests_per_minute_per_tenant", 60'000'000},
                           {"jurisdiction", "ke"},
                           {"api_key_pepper_file", (directory_ / "pepper").string()},
                           {"journal_dir", (directory_ / "journal").string()}};
  config.update(more);
  const auto file = directory_.Write("gateway.json", config.dump());
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../bin/allod-gateway";
  process_ = std::make_unique<Process>(std::vector<std::string>{program, "--config", file},
                                       ProcessOptions{.output = directory_ / "gateway.log"});
  const bool is_ready = gateway::Eventually([&] {
    const int port = ListeningPort();
    return port != 0 && gateway::Fetch(port, "GET", "/v1/models", keys_.at(0)).status == 200;
  });
  if (!is_ready) throw std::runtime_error("the gateway did not start: " + process_->Output());
  port_ = ListeningPort();
}

void GatewayAlone::Serve(const std::string& name, const std::vector<grpc::Service*>& services) {
  auto started = Server::Start({.listen = Target(name), .threads_max = 64}, services);
  if (!started) throw std::runtime_error(started.error().message);
  servers_.push_back(*std::move(started));
}

int GatewayAlone::ListeningPort() const {
  const std::string output = process_->Output();
  const auto at = output.find("port=");
  return at == std::string::npos ? 0 : std::atoi(output.c_str() + at + 5);
}

}  // namespace allod::bench
