#include "gateway/serving/hold_terms.h"

namespace allod::gateway::serving {

bool Covers(const HoldTerms& held, const HoldTerms& needed) {
  return held.variant == needed.variant && held.price_book == needed.price_book &&
         held.isolation_class == needed.isolation_class && held.bounds.prompt >= needed.bounds.prompt &&
         held.bounds.completion >= needed.bounds.completion;
}

}  // namespace allod::gateway::serving
