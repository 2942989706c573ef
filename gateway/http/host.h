// What a Host header may say: strict, because whoever reads it differently decides differently about the same request.
#pragma once

#include <string_view>

namespace allod::gateway::http {

// host[:port] of RFC 3986, less what no name in DNS has: letters, digits, '.', '-', '_' and '~', an IPv4 address, or an
// IPv6 address in brackets; a port is a decimal number up to 65535.
bool IsHost(std::string_view text);

// Whether it names an address or this machine, as no page of a name that an attacker owns can make a browser say.
bool IsAddressOrLocalhost(std::string_view host);

}  // namespace allod::gateway::http
