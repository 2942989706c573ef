// The money held for one request: made before anything else is done, and made again when the request comes to run on
// terms that it does not cover (its instance was updated while it waited).
//
// One per request; used by one coroutine.
#pragma once

#include "gateway/http/awaitable.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/funds_source.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/hold_terms.h"
#include "services/common/result.h"

namespace allod::gateway::serving {

class Hold {
 public:
  // `request` says whose it is and when it ends. All references must outlive the hold.
  Hold(metering::FundsSource& funds, billing::v1::ReserveRequest request, metering::MeteredRequest& metered,
       http::ResponseWriter& out)
      : funds_(funds), request_(std::move(request)), metered_(metered), out_(out) {}

  // The first. What the source of funds answered, as an error for the client; drops the metering when nothing can have
  // been reserved.
  http::Awaitable<Status> Make(HoldTerms terms);
  bool Covers(const HoldTerms& terms) const { return gateway::serving::Covers(terms_, terms); }
  // Replaces it by one on these terms. On an error nothing may run: the request is to be settled as it is.
  http::Awaitable<Status> Replace(HoldTerms terms);
  // What the money pays for.
  const TokenBounds& bounds() const { return terms_.bounds; }
  const std::string& request_id() const { return request_.request_id(); }

 private:
  http::Awaitable<Status> Reserve(const HoldTerms& terms);

  metering::FundsSource& funds_;
  billing::v1::ReserveRequest request_;
  metering::MeteredRequest& metered_;
  http::ResponseWriter& out_;
  HoldTerms terms_;
};

}  // namespace allod::gateway::serving
