// The whole gateway, wired: what main() runs, and what tests run against small servers of their own.
#pragma once

#include <memory>
#include <string>

#include "gateway/config.h"
#include "services/common/result.h"

namespace allod::gateway {

class Gateway {
 public:
  // Opens the journal, starts watches, settler and HTTP server. Needs no peer to be up.
  static Result<std::unique_ptr<Gateway>> Start(const GatewayConfig& config, const std::string& api_key_pepper);
  ~Gateway();  // Stop()
  Gateway(const Gateway&) = delete;

  // About two seconds at most: requests in flight get one, settlements and what is given back of leases the rest; what
  // is not settled stays in the journal.
  void Stop();
  int port() const;  // of tenants
  int operators_port() const;
  // Settlements that billing has not acknowledged yet.
  std::size_t pending_settlements() const;

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod::gateway
