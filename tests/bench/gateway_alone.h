// The real gateway program, with stand-ins in this process for everything around it: what a benchmark measures is the
// gateway and nothing else.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/gateway_peers.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allod::bench {

// One thread at a time, but for what the stand-ins say of themselves.
class GatewayAlone {
 public:
  // Adds as many keys as it is to know; `keys_kept` of them can be used. `more` is added to its configuration. Throws
  // std::runtime_error when it does not start.
  GatewayAlone(int key_count, int keys_kept, const nlohmann::json& more);

  int port() const { return port_; }
  pid_t pid() const { return process_->pid(); }
  const std::string& key(std::size_t i) const { return keys_.at(i); }
  std::string worker_target() const { return Target("worker"); }
  gateway::WorkerPeer& worker() { return worker_; }

 private:
  std::string Target(const std::string& name) const { return "unix:" + (directory_ / (name + ".sock")).string(); }
  void Serve(const std::string& name, const std::vector<grpc::Service*>& services);
  int ListeningPort() const;  // 0: not yet

  TempDir directory_;
  gateway::TenancyPeer tenancy_;
  gateway::IdentityPeer identities_;
  gateway::ProjectPeer projects_;
  gateway::RoutePeer routes_;
  gateway::BillingPeer billing_;
  gateway::WorkerPeer worker_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::string> keys_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
};

}  // namespace allod::bench
