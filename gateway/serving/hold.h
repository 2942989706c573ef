// The money held for one request: made before anything else is done, and made again when the request comes to run on
// terms that it does not cover (its instance was updated while it waited). Billing replaces the hold in one
// transaction, so that one is open at any time, and the settlement ends the newest, whichever of them the gateway knew
// of.
//
// One per request; used by one coroutine. Each call takes `reserve_timeout_ms` at most, and is made again, for
// kFullPatience times as long, while billing has no room for it. A client that leaves does not
// cancel it: billing might carry it out all the same, after it was told that the request is over.
#pragma once

#include <chrono>

#include "allod/billing/v1/usage.grpc.pb.h"
#include "gateway/http/awaitable.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/hold_terms.h"
#include "gateway/serving/limits.h"
#include "services/common/result.h"

namespace allod::gateway::serving {

// How long a request waits for room at billing, which bounds the calls of each tenant: a burst is served in turn. Of
// `reserve_timeout_ms`.
inline constexpr int kFullPatience = 5;

class Hold {
 public:
  // `request` says whose it is and when it ends. All references must outlive the hold.
  Hold(const Limits& limits, billing::v1::UsageService::Stub& usage, billing::v1::ReserveRequest request,
       metering::MeteredRequest& metered, http::ResponseWriter& out)
      : limits_(limits), usage_(usage), request_(std::move(request)), metered_(metered), out_(out) {}

  // The first. What billing answered, as an error for the client; drops the metering when nothing can have been
  // reserved.
  http::Awaitable<Status> Make(HoldTerms terms);
  bool Covers(const HoldTerms& terms) const { return gateway::serving::Covers(terms_, terms); }
  // Replaces it by one on these terms. On an error nothing may run: the request is to be settled as it is.
  http::Awaitable<Status> Replace(HoldTerms terms);
  // What the money pays for.
  const TokenBounds& bounds() const { return terms_.bounds; }
  const std::string& request_id() const { return request_.request_id(); }

 private:
  http::Awaitable<Status> Ask(const HoldTerms& terms);
  http::Awaitable<Status> AskOnce();

  const Limits& limits_;
  billing::v1::UsageService::Stub& usage_;
  billing::v1::ReserveRequest request_;
  metering::MeteredRequest& metered_;
  http::ResponseWriter& out_;
  HoldTerms terms_;
};

}  // namespace allod::gateway::serving
