// Which address a request comes from. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "gateway/http/message.h"
#include "services/common/ip_range.h"

namespace allod::gateway::http {

// The socket's `peer`, unless it is a trusted proxy: then the right-most address of X-Forwarded-For that is none, since
// what stands left of it was written by that client or further away. Where all are trusted, the left-most; without the
// header the proxy itself. Of several such headers the last is the right-most. Nothing when a trusted proxy says what
// is no address, or names more than 64: then it is not known.
std::optional<IpAddress> ClientOf(const IpAddress& peer, const Headers& headers,
                                  std::span<const IpRange> trusted_proxies);

// By what an address is limited: itself, of IPv6 the /64 that a host has to itself.
std::string LimitedAddress(const IpAddress& address);

}  // namespace allod::gateway::http
