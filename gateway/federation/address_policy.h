// Which addresses the gateway connects to for a tenant: those of the public internet, and what the operator allowed
// beside them. A tenant names an issuer's URL, and must not reach the installation's own network by it (SSRF). Pure.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod::gateway::federation {

// "10.0.0.0/8", "2001:db8::/32", "127.0.0.1".
class Network {
 public:
  // INVALID_ARGUMENT / INVALID_NETWORK.
  static Result<Network> Parse(std::string_view text);
  // An address of 16 bytes; IPv4 as ::ffff:a.b.c.d.
  bool Contains(const std::array<std::uint8_t, 16>& address) const;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  int bits_ = 0;
};

class AddressPolicy {
 public:
  AddressPolicy() = default;
  explicit AddressPolicy(std::vector<Network> allowed) : allowed_(std::move(allowed)) {}

  // INVALID_ARGUMENT / INVALID_NETWORK names the first that is none.
  static Result<AddressPolicy> Parse(const std::vector<std::string>& networks);

  // Of any family but IPv4 and IPv6: no. Private, shared, loopback, link-local, multicast, documentation and reserved
  // ranges (IANA's special-purpose registries), and IPv6 addresses that stand for IPv4 ones, only if they are allowed.
  bool Allows(const sockaddr& address) const;
  // Whether http is spoken with this host: it is a loopback address (or "localhost"), and loopback is allowed.
  bool AllowsHttp(std::string_view host) const;

 private:
  std::vector<Network> allowed_;
};

}  // namespace allod::gateway::federation
