// Money asked of billing, with one call for each hold. A call takes `call_timeout` at most, and is made again, for
// kFullPatience times as long, while billing has no room for it. A client that leaves does not cancel it: billing might
// carry it out all the same, after it was told that the request is over.
#pragma once

#include <chrono>
#include <memory>

#include "allod/billing/v1/usage.grpc.pb.h"
#include "gateway/metering/funds_source.h"

namespace allod::gateway::metering {

// How long a request waits for room at billing, which bounds the calls of each tenant: a burst is served in turn. Of
// `call_timeout`.
inline constexpr int kFullPatience = 5;

class BillingFunds final : public FundsSource {
 public:
  BillingFunds(const std::shared_ptr<grpc::Channel>& billing, std::chrono::milliseconds call_timeout)
      : stub_(billing::v1::UsageService::NewStub(billing)), call_timeout_(call_timeout) {}

  http::Awaitable<Status> Reserve(const billing::v1::ReserveRequest& request, http::ResponseWriter& out) override;

 private:
  http::Awaitable<Status> Ask(const billing::v1::ReserveRequest& request, http::ResponseWriter& out);

  const std::unique_ptr<billing::v1::UsageService::Stub> stub_;
  const std::chrono::milliseconds call_timeout_;
};

}  // namespace allod::gateway::metering
