// Between allod.scheduling.v1.Quote and the domain.
#pragma once

#include "allod/scheduling/v1/quote.pb.h"
#include "services/scheduling/quotes/quote.h"

namespace allod::scheduling::quotes {

// INVALID_ARGUMENT / INVALID_USE.
Result<QuotedUse> UseFrom(const v1::QuotedUse& use);
v1::Quote ToProto(const Quote& quote);

}  // namespace allod::scheduling::quotes
