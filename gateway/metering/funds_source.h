// Where the money for metered requests comes from: taken for the worst case before anything runs, so that it is there
// when the request is settled. Shared by all requests and outlives them; used on each request's strand.
#pragma once

#include <string>

#include "gateway/http/awaitable.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/budget_book.h"
#include "gateway/metering/lease_terms.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

// What was taken for one request.
struct Funds {
  Uuid lease_id;
  TokenPrices prices;
  Amount amount;  // the cost of the bounds that were asked for

  bool operator==(const Funds&) const = default;
};

struct FundsRequest {
  std::string tenant;  // `tenants/{tenant}`
  PriceKey price;
  TokenBounds bounds;
  bool running = false;  // what it has is to grow, in the lease that it came from
  bool at_once = false;  // only if it is there: nothing is asked for it, and no error means more than that
  Spender spender{};     // in whose budgets it counts
};

class FundsSource {
 public:
  virtual ~FundsSource() = default;
  // Takes what `request` may cost at most; `held`, if it is not null, is what the request has already, in whose place
  // this comes. `out` is of the request that waits for it: its client's leaving cancels nothing, the gateway's stop
  // does. On an error nothing was taken, and `held` stays as it was. Errors: funds_errors.h.
  virtual http::Awaitable<Result<Funds>> Take(const FundsRequest& request, const Funds* held,
                                              http::ResponseWriter& out) = 0;
};

}  // namespace allod::gateway::metering
