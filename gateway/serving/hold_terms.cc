#include "gateway/serving/hold_terms.h"

namespace allod::gateway::serving {

bool Covers(const HoldTerms& held, const HoldTerms& needed) {
  return held.price == needed.price && held.bounds.prompt >= needed.bounds.prompt &&
         held.bounds.completion >= needed.bounds.completion;
}

}  // namespace allod::gateway::serving
