// Limits of the HTTP edge. Everything a client can make us hold or wait for has one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "services/common/ip_range.h"

namespace allod::gateway::http {

struct ServerConfig {
  std::string listen;  // "127.0.0.1:8080" or "[::1]:8080"; port 0 picks one
  int threads = 2;
  int connections_max = 8192;
  int connections_per_address_max = 4096;
  std::size_t header_bytes_max = 16 << 10;
  std::size_t body_bytes_max = 1 << 20;  // as sent, and as expanded
  // What the kernel keeps for a client that does not read; it doubles this for its own book-keeping.
  int send_buffer_bytes = 16 << 10;
  int header_timeout_ms = 10'000;
  int body_timeout_ms = 30'000;
  // Between two requests of one connection.
  int idle_timeout_ms = 75'000;
  // From a request's last byte to the end of its answer.
  int request_timeout_ms = 300'000;
  // Only requests whose Host is an address or "localhost" are answered: so that no page of a name that is made to point
  // here (DNS rebinding) reads what is served without a key.
  bool hosts_are_addresses = false;
  // Whose X-Forwarded-For is believed (client_address.h).
  std::vector<IpRange> trusted_proxies = {};
  bool show_connection_count = true;  // in the metrics
};

}  // namespace allod::gateway::http
