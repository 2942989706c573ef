// What counts as delivered of what was handed to a client's socket. Pure.
//
// What is handed over at once (a piece of a stream, its end, a whole answer) counts whole as soon as the socket took a
// part of it. Where the text stands in it is known to the client, so that if only the complete counted, a client could
// take the text and break the connection before the rest, as often as it likes; and it has all that was handed over for
// the price of reading on. It is not charged for a connection that this gateway breaks because it ends.
#pragma once

#include "gateway/http/taken.h"

namespace allod::gateway::metering {

// `stopping`: the gateway ends and waits for nobody.
inline bool IsDelivered(http::Taken taken, bool stopping) {
  return taken == http::Taken::kAll || (taken == http::Taken::kSome && !stopping);
}

}  // namespace allod::gateway::metering
