// Which addresses the gateway connects to for a tenant: those of the public internet, and what the operator allowed
// beside them. A tenant names an issuer's URL, and must not reach the installation's own network by it (SSRF). Pure.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string_view>
#include <utility>
#include <vector>

#include "services/common/ip_range.h"

namespace allod {

class AddressPolicy {
 public:
  explicit AddressPolicy(std::vector<IpRange> allowed = {}) : allowed_(std::move(allowed)) {}

  // Of any family but IPv4 and IPv6: no. Private, shared, loopback, link-local, multicast, documentation and reserved
  // ranges (IANA's special-purpose registries), and IPv6 addresses that stand for IPv4 ones, only if they are allowed.
  bool Allows(const sockaddr& address) const;
  // Whether http is spoken with this host: it is a loopback address (or "localhost"), and loopback is allowed.
  bool AllowsHttp(std::string_view host) const;

 private:
  std::vector<IpRange> allowed_;
};

}  // namespace allod
