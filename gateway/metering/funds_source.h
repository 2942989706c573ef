// Where the money for metered requests comes from: held for the worst case before anything runs, so that it is there
// when the request is settled. Shared by all requests and outlives them; used on each request's strand.
//
// Today the money is asked of billing for each request (billing_funds.h). A lease of it in the gateway may take that
// place: a request that is settled tells billing what it cost, wherever its money was held.
#pragma once

#include "allod/billing/v1/usage.pb.h"
#include "gateway/http/awaitable.h"
#include "gateway/http/response_writer.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

class FundsSource {
 public:
  virtual ~FundsSource() = default;
  // Holds what `request` may cost at most. Revision 0 is a request's first hold; each later one replaces the one before
  // in one step, so that one is open at any time, and the settlement ends the newest, whichever of them the gateway
  // knew of. `out` is of the request that waits for it: its client's leaving cancels nothing, the gateway's stop does.
  //
  // On an error this call held nothing, unless that is in doubt (funds_errors.h).
  virtual http::Awaitable<Status> Reserve(const billing::v1::ReserveRequest& request, http::ResponseWriter& out) = 0;
};

}  // namespace allod::gateway::metering
