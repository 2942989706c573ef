// The services as a command reaches them: at the sockets of an installation, as its operator, or through a gateway, as
// the person who signed in there. Cheap to copy; thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "cli/installation/state_dir.h"
#include "cli/net/gateway_channel.h"

namespace allod::cli::net {

class Services {
 public:
  // Whoever can enter its run/ directory is its operator.
  Services(const installation::StateDir& state) : state_(state) {}  // NOLINT(google-explicit-constructor)
  explicit Services(GatewaySession session) : gateway_(std::make_shared<GatewayChannel>(std::move(session))) {}

  // To "tenancy" and so on. A stub that is made on it must not outlive this.
  std::shared_ptr<grpc::Channel> ChannelTo(const std::string& process) const;

  // Whose they are, on this machine; null for a person.
  const installation::StateDir* installation() const { return state_ ? &*state_ : nullptr; }

 private:
  std::optional<installation::StateDir> state_;
  std::shared_ptr<GatewayChannel> gateway_;
};

}  // namespace allod::cli::net
